use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use warp::http::StatusCode;
use warp::reply::Reply;

use super::*;

/// Any byte, and often one that means something in a form.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = proptest::sample::select(&b"&=+%aF0"[..]);
    vec(prop_oneof![any::<u8>(), telling], 0..300)
}

proptest! {
    #[test]
    fn any_body_is_refused_or_read_as_the_standard_reads_it(body in bytes()) {
        match Form::parse_pairs(&body) {
            Ok(form) => for (name, value) in form_urlencoded::parse(&body) {
                let value = Some(&*value).filter(|value| !value.is_empty());
                prop_assert_eq!(form.get(&name), value);
            },
            Err(error) => {
                prop_assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
            }
        }
    }

    #[test]
    fn any_parameters_come_back_as_they_were_sent(
        sent in btree_map(".{1,10}", ".{1,40}", 1..=MAX_PARAMETERS),
    ) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&sent).finish();
        let form = Form::parse_pairs(body.as_bytes()).unwrap();
        let read = form.0.iter().map(|(name, value)| (name.clone(), value.to_string()));
        prop_assert_eq!(read.collect::<BTreeMap<_, _>>(), sent);
    }
}

fn parse(body: &str) -> Result<Form, OAuthError> {
    Form::parse_pairs(body.as_bytes())
}

#[test]
fn names_and_values_are_decoded() {
    let form = parse("user%6eame=jo+nas%21&password=%C3%A9&empty=&bare").unwrap();
    assert_eq!(form.get("username"), Some("jo nas!"));
    assert_eq!(form.get("password"), Some("é"));
    assert_eq!(form.get("empty"), None);
    assert_eq!(form.get("bare"), None);
}

#[test]
fn what_is_not_a_proper_form_is_refused() {
    let many = ["a=1"; 2].join("&");
    let crowded = (0..33)
        .map(|index| format!("p{index}=1"))
        .collect::<Vec<_>>()
        .join("&");
    let hollow = "&".repeat(1_000);
    let long_name = format!("{}=1", "n".repeat(10_000));
    for bad in [
        "a=%zz", "a=%", "a=%f", "a=%ff", "%ff=a", &many, &crowded, &hollow, &long_name,
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn only_the_form_media_type_in_utf_8_is_read() {
    let accepts = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value.parse().unwrap());
        Form::parse(&headers, b"a=1").is_ok()
    };
    assert!(accepts("application/x-www-form-urlencoded"));
    assert!(accepts("Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
    for bad in [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        ";",
    ] {
        assert!(!accepts(bad), "{bad}");
    }
    assert!(!accepts(
        "application/x-www-form-urlencoded; charset=utf-16"
    ));
    assert!(Form::parse(&HeaderMap::new(), b"a=1").is_err());
}

#[test]
fn a_form_that_is_printed_shows_no_value() {
    let form = Form::parse_pairs(b"username=jonas&password=canary7f").unwrap();
    let shown = format!("{form:?}");
    assert!(shown.contains("password"), "{shown}");
    assert!(
        !shown.contains("canary7f") && !shown.contains("jonas"),
        "{shown}"
    );
}
