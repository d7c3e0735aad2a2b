"""Mail settings of one user: a userdb field that has a setting's name is that setting, for this user's sessions.

``mail_path``, ``quota_mail_size`` and the others of PER_USER become typed values (``Identity.settings``), read like the
words of the configuration file. ``namespace/inbox/separator`` and its like are checked, though Roost has one namespace
and one form of it: a field that asks for another is refused, rather than serving mailboxes under wrong names. All other
fields stay what they are: fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from roost.errors import AuthTemporaryFailure
from roost.settings.fields import specs_of
from roost.settings.schema.mail import MailSettings, NamespaceSettings
from roost.settings.values import parse_value

PER_USER = ("mail_path", "quota_mail_size", "mail_max_userip_connections")
"""Keys of mail settings that sessions and stores ask for by user; the others are of the process."""

NAMESPACE = "namespace/"
NOTHING: Mapping[str, object] = MappingProxyType({})
_SPECS = {spec.key: spec for spec in specs_of(MailSettings) if spec.key in PER_USER}
_NAMESPACE_SPECS = {spec.key.removeprefix(NamespaceSettings.PREFIX): spec for spec in specs_of(NamespaceSettings)}


def user_settings(user: str, fields: Mapping[str, str]) -> Mapping[str, object]:
    """The settings among ``fields``, by attribute of ``MailSettings``.

    Raises AuthTemporaryFailure for a value that the setting cannot have; ``detail`` is for the log.
    """
    found: dict[str, object] = {}
    for name, text in fields.items():
        spec = _SPECS.get(name)
        try:
            if spec is not None:
                found[spec.attribute] = parse_value(spec, text)
            elif name.startswith(NAMESPACE):
                _check_namespace(name, text)
        except ValueError as error:
            raise AuthTemporaryFailure(
                "Temporary authentication failure.", detail=f"userdb field {name} of {user!r}: {error}"
            ) from None
    return MappingProxyType(found) if found else NOTHING


def _check_namespace(name: str, text: str) -> None:
    """Raises ValueError when the field asks for another namespace than the one there is."""
    _, _, key = name.removeprefix(NAMESPACE).partition("/")
    spec = _NAMESPACE_SPECS.get(key)
    if spec is not None:
        parse_value(spec, text)
