//! `GET /errors`: the error page, where an authorization server would send a browser
//! (RFC 6749 §4.1.2.1). It shows registered codes only, never what a link says.

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::pages::Pages;
use super::pages::view::ErrorPage;
use super::{exact_path, only_read};

/// The codes that the page repeats, and what they mean (RFC 6749 §4.1.2.1).
const KNOWN: [(&str, &str); 7] = [
    (
        "invalid_request",
        "The program asked in a way that the server does not understand.",
    ),
    (
        "unauthorized_client",
        "The program is not allowed to ask in this way.",
    ),
    ("access_denied", "Access was refused."),
    (
        "unsupported_response_type",
        "The program asked for something that the server does not give.",
    ),
    (
        "invalid_scope",
        "The program asked for rights that it cannot have.",
    ),
    (
        "server_error",
        "The server failed. Try again; if it lasts, tell who runs it.",
    ),
    (
        "temporarily_unavailable",
        "The server cannot do this now. Try again in a moment.",
    ),
];

pub(super) fn error_page(path: &str, pages: Pages) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let page = query.map(move |query: String| pages.error_page(&read(&query)));
    only_read(&exact_path(path).boxed(), page)
}

fn read(query: &str) -> ErrorPage {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let asked = pairs.find(|(name, _)| name == "error");
    let known = asked.and_then(|(_, code)| KNOWN.into_iter().find(|(known, _)| *known == code));
    let (error, meaning) = known.unwrap_or_default();
    ErrorPage { error, meaning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registered_codes_are_shown() {
        assert_eq!(read("error=access_denied&x=1").error, "access_denied");
        for query in [
            "",
            "error=",
            "error=<script>",
            "error=Access_denied",
            "error=call+this+number",
            "error_description=access_denied",
        ] {
            assert_eq!(read(query).error, "", "{query}");
        }
    }
}
