//! Commands in the code blocks of a Markdown document.

/// Returns the commands of `console` blocks (lines that start with `$ `) and of `sh` and `bash` blocks (every line), without
/// comments, joined over continued lines and split at `&&`.
pub(crate) fn commands(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let block: Vec<_> = lines
            .by_ref()
            .take_while(|line| !line.trim_start().starts_with("```"))
            .collect();
        match language.split([',', ' ']).next() {
            Some("console") => found.extend(in_block(&block, "$ ")),
            Some("sh" | "bash") => found.extend(in_block(&block, "")),
            _ => {}
        }
    }
    found
}

fn in_block(lines: &[&str], prompt: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = lines.iter().map(|line| line.trim());
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix(prompt) else {
            continue;
        };
        let mut command = first.to_owned();
        while let Some(start) = command.strip_suffix('\\') {
            command = start.to_owned() + lines.next().unwrap_or_default();
        }
        found.extend(split(&command));
    }
    found
}

fn split(command: &str) -> Vec<String> {
    let code = if command.starts_with('#') {
        ""
    } else {
        command.split(" #").next().unwrap_or_default()
    };
    let parts = code.split("&&").map(|part| {
        let words: Vec<_> = part
            .trim_end_matches([' ', '&'])
            .split_whitespace()
            .collect();
        words.join(" ")
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[test]
fn commands_are_found_in_shell_blocks_only() {
    let markdown = "
```console
$ make a     # why
output $ make no
$ make b && make c
$ serve --port 1 &
$ long \\
    second
```
`make inline`
```yaml
$ make yaml
```
  ```sh
  # comment
  make d
  ```
";
    let expected = [
        "make a",
        "make b",
        "make c",
        "serve --port 1",
        "long second",
        "make d",
    ];
    assert_eq!(commands(markdown), expected);
}
