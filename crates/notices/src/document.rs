//! The notices as one text: a list of the contents, then every licence with its packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use spdx::LicenseReq;

use crate::choice::{Accepted, standard_text};
use crate::packages::{Contents, Package};
use crate::platform::{self, Component};
use crate::texts::{self, Text, collapse};

const OWN_LICENSE: &str = "(MIT OR Apache-2.0)";

/// Licence texts by licence and collapsed text. Packages whose texts differ in the copyright notice only share one text.
#[derive(Default)]
struct Sections(BTreeMap<(String, String), Section>);

struct Section {
    /// Text without the copyright notices before it.
    body: String,
    /// Users of the text, by their copyright notices.
    users: BTreeMap<String, BTreeSet<String>>,
}

impl Sections {
    fn add(&mut self, license: &str, text: &str, user: &str) {
        let (copyright, body) = texts::split_copyright(text.trim());
        let key = (license.to_owned(), collapse(body));
        let section = self.0.entry(key).or_insert_with(|| Section {
            body: body.to_owned(),
            users: BTreeMap::new(),
        });
        let users = section.users.entry(copyright.trim().to_owned());
        users.or_default().insert(user.to_owned());
    }

    fn licenses(&self) -> BTreeSet<&str> {
        let keys = self.0.keys().map(|(license, _)| license.as_str());
        keys.filter(|it| *it != NOTICE && *it != VENDORED).collect()
    }
}

const NOTICE: &str = "Notice";
const VENDORED: &str = "Vendored sources";

/// Returns the notices of a program. Fails if a package has no licence or no accepted one.
pub(crate) fn render(
    program: &str,
    target: &str,
    contents: &Contents,
    accepted: &Accepted,
) -> Result<String> {
    let mut sections = Sections::default();
    for package in &contents.packages {
        add_package(&mut sections, package, accepted).with_context(|| package.title())?;
    }
    let mut libraries = platform::libraries(target).to_vec();
    libraries.extend(contents.data.iter().cloned());
    for library in &libraries {
        add_component(&mut sections, library)?;
    }
    Ok(write(
        program,
        target,
        &contents.packages,
        &libraries,
        &sections,
    ))
}

fn add_package(sections: &mut Sections, package: &Package, accepted: &Accepted) -> Result<()> {
    let expression = package
        .license
        .as_deref()
        .context("no licence in its Cargo.toml")?;
    let found = texts::find(package.directory())?;
    let user = package.title();
    for license in accepted.choose(expression)? {
        for text in license_texts(&license, package, &found)? {
            sections.add(&license.to_string(), &text, &user);
        }
    }
    for text in &found {
        if text.is_notice {
            sections.add(NOTICE, &text.content, &user);
        } else if text.is_nested && !text.is_license("Apache-2.0") {
            sections.add(VENDORED, &text.content, &user);
        }
    }
    Ok(())
}

/// Returns the package's own texts of a licence, or the standard text with its authors. Apache-2.0 has one text for all.
fn license_texts(license: &LicenseReq, package: &Package, found: &[Text]) -> Result<Vec<String>> {
    let standard = standard_text(license)?;
    let name = license.to_string();
    if name.starts_with("Apache-2.0") {
        return Ok(vec![standard.to_owned()]);
    }
    let own = found
        .iter()
        .filter(|it| !it.is_nested && !it.is_notice && it.is_license(&name));
    let own: Vec<String> = own.map(|it| it.content.clone()).collect();
    if own.is_empty() {
        let authors = package.authors.join(", ");
        return Ok(vec![format!("Authors: {authors}\n\n{standard}")]);
    }
    Ok(own)
}

fn add_component(sections: &mut Sections, library: &Component) -> Result<()> {
    let standard = spdx::license_id(&library.license)
        .with_context(|| format!("licence {} of {}", library.license, library.name))?
        .text();
    let text = match &*library.license {
        "Apache-2.0" => standard.to_owned(),
        _ => format!("{}\n\n{standard}", library.note),
    };
    sections.add(&library.license, &text, &library.name);
    Ok(())
}

fn write(
    program: &str,
    target: &str,
    linked: &[Package],
    libraries: &[Component],
    sections: &Sections,
) -> String {
    let mut all = vec![OWN_LICENSE];
    all.extend(sections.licenses());
    let mut text = format!(
        "Third-party notices of {program}, built for {target}\n\n\
         Licences: {}\n\n\
         {program} itself is licensed under MIT OR Apache-2.0 (LICENSE-MIT, LICENSE-APACHE). It contains:\n\n",
        all.join(" AND ")
    );
    for library in libraries {
        let note = library.note.replace('\n', "\n  ");
        let _ = writeln!(text, "- {} ({})\n  {note}", library.name, library.license);
    }
    for package in linked {
        let _ = writeln!(
            text,
            "- {} ({})",
            package.title(),
            package.license.as_deref().unwrap_or_default()
        );
    }
    let line = "-".repeat(80);
    for ((license, _), section) in &sections.0 {
        let _ = write!(text, "\n{line}\n{license}\n{line}\n");
        for (copyright, users) in &section.users {
            let users: Vec<&str> = users.iter().map(String::as_str).collect();
            let _ = write!(text, "\n{}:\n", users.join(", "));
            for line in copyright.lines().filter(|line| !line.trim().is_empty()) {
                let _ = writeln!(text, "  {}", line.trim());
            }
        }
        let _ = write!(text, "\n{}\n", section.body);
    }
    text
}

#[cfg(test)]
mod tests;
