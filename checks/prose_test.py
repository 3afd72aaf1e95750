#!/usr/bin/env python3
"""Tests of checks/prose.py: planted sentences and names are found with their lines."""

import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

import prose

VOCABULARY = prose.Vocabulary(tomllib.loads((prose.ROOT / "checks/prose.toml").read_text()))


def findings(file: str, text: str) -> list[tuple[int, str]]:
    return [(it.line, it.words) for it in VOCABULARY.check_file(file, text)]


class Rust(unittest.TestCase):
    def check(self, text: str, *expected: tuple[int, str]):
        self.assertEqual(findings("a.rs", text), list(expected), text)

    def test_phrase_in_a_comment_or_string_is_found(self):
        self.check("fn f() {}\n// Whoever waits.\n", (2, "Whoever"))
        self.check("/* a\n folder */", (2, "folder"))
        self.check('f("a folder");', (1, "folder"))
        self.check('f(r#"a "folder""#);', (1, "folder"))

    def test_phrase_on_two_lines_is_found(self):
        self.check("/// Waits in\n    /// vain.\n", (1, "in vain"))

    def test_code_span_and_part_of_a_word_are_no_findings(self):
        self.check("// The user `nobody` and nobodys.\n")

    def test_opening_of_a_doc_comment_is_checked_and_of_other_lines_is_not(self):
        self.check("/// What it does.\n", (1, "What"))
        self.check("//! Whether it does.\n", (1, "Whether"))
        self.check("/// Returns this.\n/// It is small.\n// What it does.\n")

    def test_word_of_a_name_is_found_in_each_case_style(self):
        self.check("let was_told = 1;", (1, "was_told"))
        self.check("struct ActionDeed;", (1, "ActionDeed"))
        self.check("const FOLDER_NAME: u8 = 1;", (1, "FOLDER_NAME"))
        self.check("let replaced = b'\\''; let placeholder: &'a str;")

    def test_function_with_a_bare_name_is_found_at_its_definition(self):
        self.check("fn of(a: u8) {}", (1, "of"))
        self.check("a.of(1); fn offset() {}")


class OtherFiles(unittest.TestCase):
    def test_markdown_is_checked_outside_code(self):
        self.assertEqual(findings("a.md", "```sh\na folder\n```\n`folder` and a folder\n"), [(4, "folder")])

    def test_script_is_checked_with_its_names(self):
        self.assertEqual(findings("a", "#!/bin/sh\n# Waits for ever.\nsay() { x=1; }\n"), [(2, "for ever"), (3, "say")])

    def test_file_of_another_kind_is_not_checked(self):
        self.assertEqual(findings("a.bin", "folder"), [])


class Program(unittest.TestCase):
    def run_on(self, text: str) -> int:
        with tempfile.TemporaryDirectory() as dir:
            file = Path(dir) / "planted.rs"
            file.write_text(text)
            command = [sys.executable, prose.ROOT / "checks/prose.py", file]
            return subprocess.run(command, capture_output=True).returncode

    def test_planted_sentence_or_name_fails_and_clean_file_succeeds(self):
        self.assertEqual(self.run_on("/// Whether somebody waits.\nfn is_ready() {}\n"), 1)
        self.assertEqual(self.run_on("fn folder_told() {}\n"), 1)
        self.assertEqual(self.run_on("/// Returns `true` if ready.\nfn is_ready() {}\n"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=0)
