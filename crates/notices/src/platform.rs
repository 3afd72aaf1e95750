//! Components of a static program that are not packages: Rust's library, the C library, included data.

use std::borrow::Cow;

use serde::Deserialize;

/// Part of a program that is not a package: a library of the compiler, or included data, which the program's Cargo.toml lists under
/// `package.metadata.notices`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Component {
    pub(crate) name: Cow<'static, str>,
    /// SPDX identifier.
    pub(crate) license: Cow<'static, str>,
    /// Terms or notices beside the licence's text.
    pub(crate) note: Cow<'static, str>,
}

const RUST: Component = Component {
    name: Cow::Borrowed("Rust standard library"),
    license: Cow::Borrowed("Apache-2.0"),
    note: Cow::Borrowed(
        "Copyright (c) The Rust Project Contributors (https://github.com/rust-lang/rust, library/).",
    ),
};

const GLIBC: Component = Component {
    name: Cow::Borrowed("GNU C Library"),
    license: Cow::Borrowed("LGPL-2.1-or-later"),
    note: Cow::Borrowed(
        "Copyright (C) Free Software Foundation, Inc. (https://sourceware.org/glibc).\n\
        The program is linked statically with an unmodified copy from the distribution that it was built on. Its source\n\
        and build instructions are public, so that it can be linked with another version of the library: `make dist`.",
    ),
};

const MUSL: Component = Component {
    name: Cow::Borrowed("musl"),
    license: Cow::Borrowed("MIT"),
    note: Cow::Borrowed("Copyright (c) 2005-2020 Rich Felker, et al. (https://musl.libc.org)."),
};

/// Returns the libraries that a static program of a target contains. libgcc's exception needs no notice.
pub(crate) fn libraries(target: &str) -> [Component; 2] {
    [
        RUST,
        if target.ends_with("-musl") {
            MUSL
        } else {
            GLIBC
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_library_follows_the_target() {
        for (target, name) in [
            ("x86_64-unknown-linux-gnu", GLIBC.name),
            ("aarch64-unknown-linux-musl", MUSL.name),
        ] {
            assert!(
                libraries(target).iter().any(|it| it.name == name),
                "{target}"
            );
        }
    }
}
