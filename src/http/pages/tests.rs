//! Overrides, bad templates and the headers of every page.

use std::fs;
use std::path::Path;

use super::*;

const PAGE: view::ErrorPage = view::ErrorPage {
    error: "server_error",
    meaning: "It failed.",
};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

async fn body(response: Response) -> String {
    use http_body_util::BodyExt;
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_missing_folder_leaves_the_built_in_pages() {
    let pages = Pages::load(Path::new("/nonexistent/templates"), None).unwrap();
    let page = body(pages.render("errors", &PAGE)).await;
    assert!(page.contains("It failed.") && page.contains("server_error"));
}

#[tokio::test]
async fn a_file_overrides_the_built_in_page_of_its_name() {
    let files = [
        ("errors.html", "{% include 'logo.html' %}: {{ error }}"),
        ("logo.html", "Our logo"),
        (".errors.html.swp", "{{"),
        ("notes.txt", "{{"),
    ];
    let folder = folder(&files);
    let pages = Pages::load(folder.path(), None).unwrap();
    let page = body(pages.render("errors", &PAGE)).await;
    assert_eq!(page, "Our logo: server_error");
}

#[tokio::test]
async fn a_page_of_flask_sentinel_is_still_filled() {
    let old = "<form action=\"{{ request.path }}\">{{ users | length }} {% for user in users %}\
        {{ user.id }} {{ user.username }} {{ user.hashpw }}{% endfor %}{% for client in clients %}\
        {{ client.client_id }} {{ client.client_type }}{% endfor %}";
    let folder = folder(&[("management.html", old)]);
    let pages = Pages::load(folder.path(), None).unwrap();
    let page = body(pages.render("management", &view::ManagementPage::sample())).await;
    assert!(
        page.contains("1 sample sample sample confidential"),
        "{page}"
    );
}

#[test]
fn a_bad_template_is_told_with_its_file_and_line() {
    for (text, line) in [
        ("\n\n{% if %}", "management.html:3"),
        ("\n{{ url_for('static') }}", "management.html:2"),
        (
            "{% for user in users %}\n{{ user.nmae }}{% endfor %}",
            "management.html:2",
        ),
        ("{% extends 'nowhere.html' %}", "management.html"),
    ] {
        let folder = folder(&[("management.html", text)]);
        let Err(error) = Pages::load(folder.path(), None) else {
            panic!("{text} was taken");
        };
        let told = error.to_string();
        assert!(told.contains(line), "{text}: {told}");
        assert!(told.contains(folder.path().to_str().unwrap()), "{told}");
    }
}

#[tokio::test]
async fn a_bad_set_does_not_replace_a_good_one() {
    let folder = folder(&[("errors.html", "one")]);
    let pages = Pages::load(folder.path(), None).unwrap();
    fs::write(folder.path().join("errors.html"), "{{ two").unwrap();
    assert!(pages.reload().is_err());
    assert_eq!(body(pages.render("errors", &PAGE)).await, "one");
    fs::write(folder.path().join("errors.html"), "three").unwrap();
    pages.reload().unwrap();
    assert_eq!(body(pages.clone().render("errors", &PAGE)).await, "three");
}

#[tokio::test]
async fn another_page_may_be_named_as_the_error_page() {
    let files = [("help.html", "{{ error }}"), ("part.html", "{{ other }}")];
    let folder = folder(&files);
    let load = |name| Pages::load(folder.path(), Some(name));
    let shown = load("help").unwrap().error_page(&PAGE);
    assert_eq!(body(shown).await, "server_error");
    load("errors").unwrap();
    for (name, words) in [
        ("nowhere", "there is no page nowhere; put nowhere.html into"),
        ("part", "part.html:1: "),
        ("management", "management.html:"),
    ] {
        let told = load(name).err().unwrap().to_string();
        assert!(told.contains(words), "{told}");
        assert!(
            told.starts_with("OAUTH2_PROVIDER_ERROR_ENDPOINT: "),
            "{told}"
        );
    }
}

#[test]
fn the_error_page_is_looked_for_without_a_folder_too() {
    let load = |name| Pages::load(Path::new("/nonexistent/templates"), name);
    assert!(load(Some("nowhere")).is_err());
    // The usual one is known to be good: nothing is parsed before somebody asks for it.
    for name in [None, Some("errors")] {
        assert!(load(name).unwrap().set.load().0.get().is_none());
    }
}

#[tokio::test]
async fn a_set_without_the_error_page_does_not_replace_one_with_it() {
    let folder = folder(&[("help.html", "one")]);
    let file = folder.path().join("help.html");
    let pages = Pages::load(folder.path(), Some("help")).unwrap();
    fs::write(&file, "{{ erorr }}").unwrap();
    assert!(pages.reload().is_err());
    fs::remove_file(&file).unwrap();
    assert!(pages.reload().is_err());
    assert_eq!(body(pages.error_page(&PAGE)).await, "one");
    fs::write(&file, "two").unwrap();
    pages.reload().unwrap();
    assert_eq!(body(pages.error_page(&PAGE)).await, "two");
}

#[tokio::test]
async fn a_page_that_cannot_be_filled_is_a_500_without_its_reason() {
    let folder = folder(&[("part.html", "{{ other }}")]);
    let response = Pages::load(folder.path(), None)
        .unwrap()
        .render("part", &PAGE);
    assert_eq!(response.status(), 500);
    assert!(!body(response).await.contains("other"));
}

#[test]
fn every_page_forbids_scripts_frames_and_foreign_resources() {
    let folder = folder(&[("help.html", "<style>p{color:red}</style>")]);
    let pages = Pages::load(folder.path(), None).unwrap();
    let response = pages.render("errors", &PAGE);
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(policy.ends_with("form-action 'self'; frame-ancestors 'none'; base-uri 'none'"));
    assert_eq!(policy.matches("sha256-").count(), 2);
    assert!(!policy.contains("unsafe"));
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "same-origin");
    assert_eq!(header("cache-control"), "no-store");
}
