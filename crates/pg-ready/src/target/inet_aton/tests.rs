use super::*;

#[test]
fn address_in_any_form_of_inet_aton_is_parsed() {
    for (text, expected) in [
        ("127.0.0.1", Some("127.0.0.1")),
        ("127.1", Some("127.0.0.1")),
        ("127.2.3", Some("127.2.0.3")),
        ("127.2.65535", Some("127.2.255.255")),
        ("127.2.65536", None),
        ("127.16777215", Some("127.255.255.255")),
        ("127.16777216", None),
        ("256.1", None),
        ("2130706433", Some("127.0.0.1")),
        ("4294967295", Some("255.255.255.255")),
        ("4294967296", None),
        ("0x7f.0X1", Some("127.0.0.1")),
        ("0177.010", Some("127.0.0.8")),
        ("0", Some("0.0.0.0")),
        ("08", None),
        ("0x", None),
        ("1.2.3.256", None),
        ("1.2.3.0x10", Some("1.2.3.16")),
        ("1.2.3.4.5", None),
        ("1..2", None),
        ("+1", None),
        ("0x+1", None),
        ("", None),
        ("localhost", None),
        ("::1", Some("::1")),
    ] {
        let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(parse_address(text), expected, "{text}");
    }
}
