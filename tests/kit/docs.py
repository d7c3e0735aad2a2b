"""Configuration examples taken out of the documentation, so that what it shows is what the tests run."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def section(page: str, heading: str) -> str:
    """The text under ``## heading`` of ``docs/<page>``."""
    _, found, rest = (DOCS / page).read_text().partition(f"\n## {heading}\n")
    assert found, f"docs/{page} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def example(page: str, heading: str, lead: str) -> str:
    """The indented block behind the first line that ends with ``lead`` and a colon."""
    lines = section(page, heading).splitlines()
    start = next((at for at, line in enumerate(lines) if line.endswith(f"{lead}:")), None)
    assert start is not None, f"docs/{page}, {heading}: nothing ends with {lead!r}:"
    block: list[str] = []
    for line in lines[start + 1 :]:
        if line and not line.startswith("    "):
            break
        block.append(line[4:])
    text = "\n".join(block).strip("\n") + "\n"
    assert text.strip(), f"docs/{page}, {heading}: no block behind {lead!r}"
    return text
