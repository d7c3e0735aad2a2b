"""The examples of docs/auth-oauth2.md are configurations that load, and their databases can be built."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from kit.docs import DOCS

from roost.settings import load
from roost.settings.schema.auth import PassdbSettings
from roost.testing.passdb import driver_context
from services.auth.passdb import PASSDBS
from services.auth.templates import FieldTemplates

PAGE = (DOCS / "auth-oauth2.md").read_text()
BLOCKS = [textwrap.dedent(one) for one in re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.M)]
EXAMPLES = [one for one in BLOCKS if "{\n" in one]


def passdbs(tmp_path: Path, text: str) -> list[PassdbSettings]:
    path = tmp_path / "roost.conf"
    lines = [line for line in text.splitlines() if not line.startswith("doveadm ") and "ssl_client_ca_file" not in line]
    path.write_text("\n".join(lines) + "\n")
    config = load(str(path))
    assert config.warnings == ()
    return list(config.passdbs)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_loads(tmp_path: Path, text: str) -> None:
    for one in passdbs(tmp_path, text):
        FieldTemplates(one.fields)
        if one.oauth2_introspection_mode or one.name == "imap":
            PASSDBS[one.driver or one.name](one, driver_context())


def test_all_of_them_are_there(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 5
    modes = {one.oauth2_introspection_mode for text in EXAMPLES for one in passdbs(tmp_path, text)}
    assert {"post", "local"} <= modes


def test_a_section_at_top_level_and_inside_a_passdb(tmp_path: Path) -> None:
    text = """
    oauth2 {
      tokeninfo_url = http://a/
      http_client_request_timeout = 5 secs
      ssl_client_ca_file = /a.pem
      fields {
        x = %{oauth2:sub}
      }
    }
    passdb one {
      driver = oauth2
      oauth2 {
        tokeninfo_url = http://b/
        http_client_max_parallel_connections = 3
        oauth2_local_validation {
          dict mine {
            driver = memory
          }
        }
      }
    }
    passdb two {
      driver = oauth2
      oauth2_username_attribute = sub
    }
    passdb static {
      http_client_request_timeout = 7 secs
    }
    """
    path = tmp_path / "roost.conf"
    path.write_text(textwrap.dedent(text))
    config = load(str(path))
    one, two, other = config.passdbs
    assert (one.oauth2_tokeninfo_url, two.oauth2_tokeninfo_url) == ("http://b/", "http://a/")
    assert (one.http_request_timeout_msecs, two.http_request_timeout_msecs) == (5000, 5000)
    assert (one.http_max_parallel_connections, two.http_max_parallel_connections) == (3, 10)
    assert one.http_max_idle_time_msecs == 60_000 and one.http_response_body_max_octets == 256 << 10
    assert one.ssl_client_ca_file == "/a.pem" and other.ssl_client_ca_file == ""
    assert one.oauth2_keys is not None and one.oauth2_keys.name == "mine" and two.oauth2_keys is None
    assert two.oauth2_username_attribute == "sub" and two.oauth2_fields == {"x": "%{oauth2:sub}"}
    assert other.http_request_timeout_msecs == 7000 and other.http_max_idle_time_msecs == 0
