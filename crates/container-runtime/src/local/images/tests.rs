//! Image references and the programs that they resolve to.

use std::path::Path;

use super::*;

fn program(file: &str, name: &str) -> ImageProgram {
    ImageProgram {
        file: file.into(),
        name: name.to_owned(),
        cmd: Vec::new(),
        host_software: None,
    }
}

fn images() -> ImageMap {
    let mut images = ImageMap::default();
    for (name, file) in [
        ("kiamol/ch03-numbers-api", "/p/numbers-api"),
        ("postgres:15", "/p/fifteen"),
        ("docker.io/library/postgres", "/p/any"),
        ("localhost:5000/x", "/p/x"),
        ("localhost/one:1", "/p/one"),
        ("localhost/one:latest", "/p/one"),
    ] {
        images.insert(name, program(file, "program"));
    }
    images
}

#[test]
fn reference_with_any_tag_finds_the_entry_of_its_tag_or_of_none() {
    for (reference, expected) in [
        ("kiamol/ch03-numbers-api", "/p/numbers-api"),
        ("kiamol/ch03-numbers-api:0.1.0", "/p/numbers-api"),
        ("docker.io/kiamol/ch03-numbers-api:0.1.0", "/p/numbers-api"),
        ("postgres:15", "/p/fifteen"),
        ("postgres:16-alpine", "/p/any"),
        ("localhost:5000/x:1", "/p/x"),
        ("postgres@sha256:0123", "/p/any"),
        ("localhost/one", "/p/one"),
        ("localhost/one:1", "/p/one"),
        ("localhost/one@sha256:0123", "/p/one"),
        ("localhost/one:1@sha256:0123", "/p/one"),
    ] {
        let found = images().resolve(reference).unwrap();
        assert_eq!(found.program, Path::new(expected), "{reference}");
        assert_eq!(found.image.reference, reference);
    }
}

#[test]
fn tag_without_an_entry_is_unknown_where_every_entry_has_a_tag() {
    for reference in ["localhost/one:2", "localhost/one:2@sha256:0123"] {
        let error = images().resolve(reference).unwrap_err();
        assert!(
            matches!(error, ImageError::Unknown { .. }),
            "{reference}: {error}"
        );
    }
}

#[test]
fn override_wins_over_an_entry_with_the_exact_tag() {
    let mut images = images();
    images.insert_override("localhost/one", program("/p/mine", "mine"));
    for reference in ["localhost/one", "localhost/one:1", "localhost/one:mine"] {
        let found = images.resolve(reference).unwrap();
        assert_eq!(found.program, Path::new("/p/mine"), "{reference}");
        assert_eq!(found.image.entrypoint, ["/mine"], "{reference}");
    }
}

#[test]
fn programs_of_one_executable_have_entrypoints_and_identities_of_their_own() {
    let mut images = ImageMap::default();
    for name in ["numbers-api", "todo-web"] {
        images.insert(&format!("localhost/{name}"), program("/p/selfheal", name));
    }
    let [numbers, web] = ["numbers-api", "todo-web"]
        .map(|name| images.resolve(&format!("localhost/{name}")).unwrap().image);
    assert_eq!(numbers.entrypoint, ["/numbers-api"]);
    assert_eq!(web.entrypoint, ["/todo-web"]);
    assert_ne!(numbers.id, web.id);
}

#[test]
fn malformed_reference_is_invalid_and_a_well_formed_one_unknown() {
    for reference in ["", "UPPER", "a//b", "a b", "/a", "a:t/"] {
        let error = images().resolve(reference).unwrap_err();
        assert!(
            matches!(error, ImageError::InvalidName(_)),
            "{reference}: {error}"
        );
    }
    let error = images().resolve("nginx:1").unwrap_err();
    assert!(matches!(error, ImageError::Unknown { .. }), "{error}");
}

#[test]
fn error_of_an_unknown_image_lists_the_available_images_and_the_option() {
    let error = images()
        .resolve("docker.io/library/redis:7-alpine")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "image \"docker.io/library/redis:7-alpine\": this node pulls no images from registries; \
         available: kiamol/ch03-numbers-api, localhost/one, localhost:5000/x, postgres; \
         restart the node with --image redis=PROGRAM to run a program of this host for it"
    );
}

#[test]
fn missing_host_software_is_the_error_of_the_image() {
    let mut images = ImageMap::default();
    let missing = |image: &str| {
        Err(ImageError::NotInstalled {
            image: image.to_owned(),
            what: "PostgreSQL",
            how: "install it",
        })
    };
    let mut postgres = program("/p/entry", "entry");
    postgres.host_software = Some(missing);
    images.insert("postgres", postgres);
    let error = images.check("postgres:15").unwrap_err();
    assert!(matches!(error, ImageError::NotInstalled { .. }), "{error}");
}
