use super::*;

#[test]
fn location_is_resolved_as_in_go() {
    let base = Url::parse("http://127.0.0.1:80/a/b?q=1").unwrap();
    for (location, expected, form) in [
        (
            "/success",
            "http://127.0.0.1:80/success",
            LocationForm::Relative,
        ),
        ("c", "http://127.0.0.1:80/a/c", LocationForm::Relative),
        (
            "../c/./d",
            "http://127.0.0.1:80/c/d",
            LocationForm::Relative,
        ),
        ("..", "http://127.0.0.1:80/", LocationForm::Relative),
        ("../../..", "http://127.0.0.1:80/", LocationForm::Relative),
        ("?x", "http://127.0.0.1:80/a/b?x", LocationForm::Relative),
        (
            "#f",
            "http://127.0.0.1:80/a/b?q=1#f",
            LocationForm::Relative,
        ),
        ("//other/x", "http://other/x", LocationForm::Relative),
        (
            "https://other:8443",
            "https://other:8443",
            LocationForm::Absolute,
        ),
        (
            "HTTP://me:pw@other/a b",
            "http://other/a%20b",
            LocationForm::Absolute,
        ),
        (
            "http://[::1]:8080/x",
            "http://[::1]:8080/x",
            LocationForm::Absolute,
        ),
    ] {
        let (url, found) = base.join(location).unwrap();
        assert_eq!(url.to_string(), expected, "{location}");
        assert_eq!(found, form, "{location}");
    }
}

#[test]
fn invalid_url_is_rejected_with_the_error_text_of_go() {
    for (text, expected) in [
        ("http://[[::1]]:80/", "invalid IP-literal"),
        ("http://[::1/", "missing ']' in host"),
        ("http://[::1]x/", r#"invalid port "x" after host"#),
        ("http://[::1]:x/", r#"invalid port ":x" after host"#),
        ("http://a%2Fb:80/", r#"invalid URL escape "%2F""#),
        ("http://%zz/", r#"invalid URL escape "%zz""#),
        ("http://a/%zz", r#"invalid URL escape "%zz""#),
        ("http://a/%41%4", r#"invalid URL escape "%4""#),
        ("http://a b/", r#"invalid character " " in host name"#),
        ("http://a:b/", r#"invalid port ":b" after host"#),
        (":x", "missing protocol scheme"),
        ("1:x", "first path segment in URL cannot contain colon"),
        ("a\nb", "net/url: invalid control character in URL"),
    ] {
        assert_eq!(Url::parse(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn url_yields_host_port_and_request_target() {
    for (text, host, port, target) in [
        ("http://10.0.0.1:80", "10.0.0.1", 80, "/"),
        ("http://[::1]:8080/x", "::1", 8080, "/x"),
        ("http://name", "name", 80, "/"),
        ("https://name:/?", "name", 443, "/?"),
        ("http://h:99999/a?b=c d#e", "h", 99999, "/a?b=c d"),
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!(url.hostname(), host, "{text}");
        assert_eq!(url.port(), port, "{text}");
        assert_eq!(url.request_target(), target, "{text}");
    }
}
