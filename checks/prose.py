#!/usr/bin/env python3
"""Checks the vocabulary of comments, documents, strings and names: checks/prose.py [FILE...]

The vocabulary and its exceptions are in checks/prose.toml. Without FILE every tracked file is checked, and an exception that
applies to nothing fails the check. Needs Python 3.11. Exit code: 0 no finding, 1 findings, 2 wrong vocabulary file.
"""

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Iterator, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SCRIPT_NAMES = ("Makefile", "Dockerfile", "Dockerfile.builder")
TEXT_SUFFIXES = (".css", ".hcl", ".html", ".js", ".ld", ".md", ".mk", ".sql", ".toml", ".yaml", ".yml")

# A run of line comments is one comment: a phrase may continue on the next line.
RUST_TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]*(?:\n[ \t]*//[^\n]*)* | /\*.*?\*/ )
    | (?P<string>  [bc]?r(?P<hashes>\#*)".*?"(?P=hashes) | [bc]?"(?:\\.|[^"\\])*" )
    | (?P<char>    b?'(?:\\[^\n]+?|[^\\'\n])' )
    | (?P<name>    (?:r\#)?[A-Za-z_]\w* )
    """,
    re.VERBOSE | re.DOTALL,
)
DOC_COMMENT = re.compile(r"^[ \t]*//[/!][ \t]*(?P<first>[A-Za-z']+)", re.MULTILINE)
COMMENT_MARK = re.compile(r"^[ \t]*(?://[/!]?|#+)", re.MULTILINE)
CODE_SPAN = re.compile(r"`[^`\n]*`")
CODE_BLOCK = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1", re.MULTILINE | re.DOTALL)
SHELL_NAME = re.compile(r"^[ \t]*(?:local |export |readonly )?([A-Za-z_]\w*)(?:\(\)|=)", re.MULTILINE)
NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Finding(NamedTuple):
    file: str
    line: int
    words: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words!r}: {self.instead}"


def blank(match: re.Match) -> str:
    """Returns the line breaks of a match, so that lines keep their numbers."""
    return "\n" * match[0].count("\n") or " "


class Vocabulary:
    def __init__(self, table: dict):
        self.phrases = [
            (re.compile(r"\b(?:" + row["words"].replace(" ", r"\s+") + r")(?!\w)", re.IGNORECASE), row["instead"])
            for row in table["phrase"]
        ]
        self.openings = set(table["openings"]["words"])
        self.opening_instead = table["openings"]["instead"]
        self.names = {word: row["instead"] for row in table["name"] for word in row["words"].split("|")}
        self.functions = {word: row["instead"] for row in table["function"] for word in row["words"].split("|")}
        self.exceptions = table.get("exception", [])

    def check_prose(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Yields line, words and advice for each phrase; `text` has no comment marks."""
        for pattern, instead in self.phrases:
            for match in pattern.finditer(text):
                yield text.count("\n", 0, match.start()), " ".join(match[0].split()), instead

    def check_name(self, name: str) -> Iterator[tuple[str, str]]:
        for word in NAME_WORD.findall(name):
            if instead := self.names.get(word.lower()):
                yield name, f"name with {word.lower()!r}: {instead}"

    def check_rust(self, text: str) -> Iterator[tuple[int, str, str]]:
        previous = ""
        for token in RUST_TOKEN.finditer(text):
            line = text.count("\n", 0, token.start()) + 1
            if token["comment"]:
                prose = CODE_SPAN.sub(" ", COMMENT_MARK.sub("", token[0]))
                yield from ((line + at, *rest) for at, *rest in self.check_prose(prose))
                opening = DOC_COMMENT.match(token[0])
                if opening and opening["first"] in self.openings:
                    yield line, opening["first"], self.opening_instead
            elif token["string"]:
                yield from ((line + at, *rest) for at, *rest in self.check_prose(token[0]))
            elif token["name"]:
                yield from ((line, *rest) for rest in self.check_name(token[0]))
                if previous == "fn" and (instead := self.functions.get(token[0])):
                    yield line, token[0], f"function {token[0]!r}: {instead}"
            previous = token[0]

    def check_text(self, text: str, is_markdown: bool) -> Iterator[tuple[int, str, str]]:
        prose = CODE_BLOCK.sub(blank, text) if is_markdown else COMMENT_MARK.sub("", text)
        prose = CODE_SPAN.sub(" ", prose)
        yield from ((1 + at, *rest) for at, *rest in self.check_prose(prose))

    def check_file(self, file: str, text: str) -> Iterator[Finding]:
        suffix = Path(file).suffix
        if suffix == ".rs":
            found = self.check_rust(text)
        elif is_script(file, text):
            names = ((text.count("\n", 0, it.start(1)) + 1, it[1]) for it in SHELL_NAME.finditer(text))
            in_names = ((line, *rest) for line, name in names for rest in self.check_name(name))
            found = [*self.check_text(text, is_markdown=False), *in_names]
        elif suffix in TEXT_SUFFIXES:
            found = self.check_text(text, is_markdown=suffix == ".md")
        else:
            return
        yield from (Finding(file, *it) for it in found)

    def exception_of(self, finding: Finding) -> dict | None:
        return next(
            (it for it in self.exceptions if fnmatch.fnmatch(finding.file, it["file"]) and it["words"] == finding.words.lower()),
            None,
        )


def is_script(file: str, text: str) -> bool:
    return text.startswith("#!") or Path(file).suffix == ".mk" or Path(file).name in SCRIPT_NAMES


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    # The vocabulary and its test contain the words.
    return [it for it in listed.split("\0") if it and not it.startswith(("LICENSE", "checks/prose"))]


def main(files: list[str]) -> int:
    try:
        vocabulary = Vocabulary(tomllib.loads((ROOT / "checks/prose.toml").read_text()))
    except (KeyError, TypeError, ValueError, re.error) as error:
        print(f"checks/prose.toml: {error!r}", file=sys.stderr)
        return 2
    findings: list[Finding] = []
    used = []
    for file in files or tracked_files():
        path = ROOT / file
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for finding in vocabulary.check_file(file, text):
            if exception := vocabulary.exception_of(finding):
                used.append(exception)
            else:
                findings.append(finding)
    for finding in sorted(findings):
        print(finding)
    unused = [] if files else [it for it in vocabulary.exceptions if it not in used]
    for exception in unused:
        print(f"checks/prose.toml: exception for {exception['words']!r} in {exception['file']} applies to nothing: delete it")
    if findings or unused:
        print(f"prose: {len(findings)} findings. An exception needs a reason in checks/prose.toml")
        return 1
    print("prose: no findings")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
