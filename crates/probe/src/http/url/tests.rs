use super::*;

#[test]
fn a_location_leads_where_go_says() {
    let base = Url::parse("http://127.0.0.1:80/a/b?q=1").unwrap();
    for (location, expected, absolute) in [
        ("/success", "http://127.0.0.1:80/success", false),
        ("c", "http://127.0.0.1:80/a/c", false),
        ("../c/./d", "http://127.0.0.1:80/c/d", false),
        ("..", "http://127.0.0.1:80/", false),
        ("../../..", "http://127.0.0.1:80/", false),
        ("?x", "http://127.0.0.1:80/a/b?x", false),
        ("#f", "http://127.0.0.1:80/a/b?q=1#f", false),
        ("//other/x", "http://other/x", false),
        ("https://other:8443", "https://other:8443", true),
        ("HTTP://me:pw@other/a b", "http://other/a%20b", true),
        ("http://[::1]:8080/x", "http://[::1]:8080/x", true),
    ] {
        let (url, is_absolute) = base.join(location).unwrap();
        assert_eq!(url.to_string(), expected, "{location}");
        assert_eq!(is_absolute, absolute, "{location}");
    }
}

#[test]
fn what_is_no_url_is_refused_in_gos_words() {
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
fn a_url_knows_whom_to_connect_to() {
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
