"""Writes the tables of inputs and outputs into the modules' READMEs, from their variables and outputs.

`readme.py` writes; `readme.py --check` fails when what stands there is not what would be written. Reads Terraform as
`terraform fmt` leaves it, which is checked first.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3] / "terraform"
BEGIN, END = "<!-- generated from variables.tf and outputs.tf -->", "<!-- end -->"


def blocks(text: str, kind: str) -> dict[str, str]:
    return dict(re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}$', text, re.M | re.S))


def attribute(block: str, name: str) -> str | None:
    """The text of an attribute: the rest of its line, and what follows until its indentation ends."""
    found = re.search(rf"^  {name} += (.*(?:\n(?:    .*|  [\])}}].*|  EOT|$))*)", block, re.M)
    return found and found[1].rstrip()


def description(block: str) -> tuple[str, str]:
    """The sentence for the table, and what a longer one goes on to say."""
    text = attribute(block, "description") or ""
    if not text.startswith("<<-EOT"):
        return text.strip('"').replace('\\"', '"'), ""
    lines = [line.strip() for line in text.splitlines()[1:-1]]
    return lines[0], "\n".join(lines[1:]).strip()


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def kind(block: str) -> str:
    text = attribute(block, "type") or "any"
    return re.sub(r"^(list\(object|object|list|map|string|number|bool).*", r"\1", text, flags=re.S).replace("list(object", "list of objects")


def inputs(text: str) -> list[str]:
    rows, details = ["| input | type | default | |", "| --- | --- | --- | --- |"], []
    for name, block in blocks(text, "variable").items():
        first, more = description(block)
        default = attribute(block, "default")
        shown = "required" if default is None else "" if default == "null" else f"`{default}`"
        rows.append(f"| `{name}` | {kind(block)} | {cell(shown)} | {cell(first)} |")
        if "object" in kind(block):
            details += ["", f"`{name}`:", "", *([more, ""] if more else []), "```hcl", *dedent(attribute(block, "type")), "```"]
    return rows + details


def dedent(text: str) -> list[str]:
    return [line[2:] if line.startswith("  ") else line for line in text.splitlines()]


def outputs(text: str) -> list[str]:
    rows = ["| output | |", "| --- | --- |"]
    for name, block in blocks(text, "output").items():
        secret = " Sensitive." if attribute(block, "sensitive") == "true" else ""
        rows.append(f"| `{name}` | {cell(description(block)[0])}{secret} |")
    return rows


def tables(module: Path) -> str:
    lines = ["## Inputs", "", *inputs((module / "variables.tf").read_text())]
    lines += ["", "## Outputs", "", *outputs((module / "outputs.tf").read_text())]
    return "\n".join(lines)


def main() -> int:
    for module in (ROOT / "aws", ROOT / "existing"):
        readme = module / "README.md"
        text = readme.read_text()
        head, rest = text.split(BEGIN)
        made = f"{head}{BEGIN}\n\n{tables(module)}\n\n{END}{rest.split(END)[1]}"
        if made == text:
            continue
        if "--check" in sys.argv:
            print(f"{readme} is not what its variables and outputs say: run tests/deploy/terraform/readme.py", file=sys.stderr)
            return 1
        readme.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
