//! What a static program contains besides packages: Rust's library and the C library.

/// A library that comes with the compiler.
pub(crate) struct Library {
    pub(crate) name: &'static str,
    /// SPDX identifier.
    pub(crate) license: &'static str,
    /// Terms or notices beside the licence's text.
    pub(crate) note: &'static str,
}

const RUST: Library = Library {
    name: "Rust standard library",
    license: "Apache-2.0",
    note: "Copyright (c) The Rust Project Contributors (https://github.com/rust-lang/rust, library/).",
};

const GLIBC: Library = Library {
    name: "GNU C Library",
    license: "LGPL-2.1-or-later",
    note: "Copyright (C) Free Software Foundation, Inc. (https://sourceware.org/glibc).\n\
        The program is linked statically with an unmodified copy from the distribution that it was built on. Its source\n\
        and build instructions are public, so that it can be linked with another version of the library: `make dist`.",
};

const MUSL: Library = Library {
    name: "musl",
    license: "MIT",
    note: "Copyright (c) 2005-2020 Rich Felker, et al. (https://musl.libc.org).",
};

/// Returns the libraries that a static program of a target contains. libgcc's exception needs no notice.
pub(crate) fn libraries(target: &str) -> [Library; 2] {
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
