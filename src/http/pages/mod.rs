//! The pages people see: Tera templates, built in, each overridable by a file of its name in the
//! operator's folder.
//!
//! Every page goes out with a policy that lets it load nothing and run nothing. Style is the one
//! exception: a `<style>` element that stands in a loaded template, letter for letter, is allowed
//! by its hash, so an override may bring its own. One that a template computes, a `style`
//! attribute and a linked stylesheet are not.
//!
//! What does not live here: what a page is about (`management`, `error_page`).

mod style;
#[cfg(test)]
mod tests;
pub mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{fs, io};

use arc_swap::ArcSwap;
use serde::Serialize;
use tera::{Context, ErrorKind, Tera};
use thiserror::Error;
use warp::http::StatusCode;
use warp::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use warp::reply::{Reply, Response};

/// The templates that are always there. The suffix makes Tera escape what it inserts.
const BUILT_IN: [(&str, &str); 6] = [
    (
        "layout.html",
        include_str!("../../../templates/layout.html"),
    ),
    (
        "management.html",
        include_str!("../../../templates/management.html"),
    ),
    ("user.html", include_str!("../../../templates/user.html")),
    (
        "client.html",
        include_str!("../../../templates/client.html"),
    ),
    (
        "errors.html",
        include_str!("../../../templates/errors.html"),
    ),
    (
        "problem.html",
        include_str!("../../../templates/problem.html"),
    ),
];

/// The error page where no other is named.
const ERROR_PAGE: &str = "errors";

/// What is sent with every page but for its policy. The referrer goes to no other origin; with
/// `no-referrer` browsers would send our own forms with `Origin: null` (Fetch §3.2), which the
/// console refuses.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// Why the templates in the operator's folder cannot be used.
#[derive(Debug, Error)]
pub enum PagesError {
    /// The folder or a file in it cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A template is wrong. Says which, where, and what.
    #[error("{0}")]
    Template(String),
    /// The page that is named as the error page cannot be it. Says why, and what to do.
    #[error("OAUTH2_PROVIDER_ERROR_ENDPOINT: {0}")]
    ErrorPage(String),
}

/// The present set of pages. Clones share it.
#[derive(Clone)]
pub struct Pages {
    folder: Arc<Path>,
    error_page: Arc<str>,
    set: Arc<ArcSwap<Loaded>>,
}

/// A set of pages; of the built-in ones alone nothing until a page is asked for. Many servers show
/// none, and parsed templates take memory, with the program's text that parses them.
struct Loaded(OnceLock<Set>);

struct Set {
    templates: Tera,
    policy: HeaderValue,
}

impl Pages {
    /// The built-in pages with those of `folder` over them. A missing folder overrides nothing.
    /// `error_page` is the name, without its suffix, of another error page than the usual one.
    ///
    /// # Errors
    /// [`PagesError`], each.
    pub fn load(folder: &Path, error_page: Option<&str>) -> Result<Self, PagesError> {
        let error_page = error_page.unwrap_or(ERROR_PAGE);
        let loaded = Loaded::read(folder, error_page)?;
        Ok(Self {
            folder: folder.into(),
            error_page: error_page.into(),
            set: Arc::new(ArcSwap::from_pointee(loaded)),
        })
    }

    /// Reads the folder again. When that fails the present set stays.
    ///
    /// # Errors
    /// [`PagesError`], each.
    pub fn reload(&self) -> Result<(), PagesError> {
        let loaded = Loaded::read(&self.folder, &self.error_page)?;
        self.set.store(Arc::new(loaded));
        Ok(())
    }

    /// The error page.
    pub fn error_page(&self, values: &view::ErrorPage) -> Response {
        self.render(&self.error_page, values)
    }

    /// The page `name`, without its suffix, filled with `values`. A template that cannot be
    /// filled is told in the log and answered with 500.
    pub fn render(&self, name: &str, values: &impl Serialize) -> Response {
        let loaded = self.set.load();
        let set = loaded.set();
        let mut response = match set.render(name, values) {
            Ok(page) => page.into_response(),
            Err(error) => {
                tracing::error!(error = %error, "a page cannot be filled");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                warp::reply::with_status("<!doctype html><p>Internal Server Error", status)
                    .into_response()
            }
        };
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(CONTENT_SECURITY_POLICY, set.policy.clone());
        response
    }
}

impl Loaded {
    fn read(folder: &Path, error_page: &str) -> Result<Self, PagesError> {
        let overriding = read_folder(folder)?;
        if overriding.is_empty() && error_page == ERROR_PAGE {
            return Ok(Self(OnceLock::new()));
        }
        let wrong = |error| PagesError::Template(describe(folder, &error));
        let set = Set::new(overriding).map_err(wrong)?;
        let tried = set.try_out_error_page(error_page);
        tried.map_err(|error| unfit(folder, error_page, &error))?;
        Ok(Self(set.into()))
    }

    fn set(&self) -> &Set {
        self.0.get_or_init(Set::built_in)
    }
}

impl Set {
    #[expect(
        clippy::expect_used,
        reason = "they are part of the program, and a test fills each"
    )]
    fn built_in() -> Self {
        Self::new(BTreeMap::new()).expect("the built-in pages can be filled")
    }

    fn new(overriding: BTreeMap<String, String>) -> Result<Self, tera::Error> {
        let mut sources: BTreeMap<String, String> = BUILT_IN
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        sources.extend(overriding);
        let mut templates = Tera::new();
        templates.add_raw_templates(&sources)?;
        let set = Self {
            templates,
            policy: policy(sources.values()),
        };
        set.try_out()?;
        Ok(set)
    }

    // A misspelled variable is found only by filling the page.
    fn try_out(&self) -> Result<(), tera::Error> {
        self.render("management", &view::ManagementPage::sample())?;
        self.render("user", &view::UserPage::sample())?;
        self.render("client", &view::ClientPage::sample())?;
        self.try_out_error_page(ERROR_PAGE)?;
        self.render("problem", &view::ProblemPage::default())?;
        Ok(())
    }

    fn try_out_error_page(&self, name: &str) -> Result<(), tera::Error> {
        self.render(name, &view::ErrorPage::default())?;
        self.render(name, &view::ErrorPage::sample())?;
        Ok(())
    }

    fn render(&self, name: &str, values: &impl Serialize) -> Result<String, tera::Error> {
        let values = Context::from_serialize(values)?;
        self.templates.render(&format!("{name}.html"), &values)
    }
}

fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, PagesError> {
    let unreadable = |path: &Path, source| PagesError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.map_err(|error| unreadable(folder, error))?,
    };
    let mut sources = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        // Editors leave hidden copies behind.
        let is_html = path.extension().is_some_and(|suffix| suffix == "html");
        let is_page = |name: &&str| is_html && !name.starts_with('.');
        if let Some(name) = name.filter(is_page) {
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            sources.insert(name.to_owned(), text);
        }
    }
    Ok(sources)
}

fn describe(folder: &Path, error: &tera::Error) -> String {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let file = folder.join(report.filename());
            let line = report.span().start_line;
            format!("{}:{line}: {}", file.display(), report.message())
        }
        _ => format!("{}: {error}", folder.display()),
    }
}

fn unfit(folder: &Path, name: &str, error: &tera::Error) -> PagesError {
    let is_missing = matches!(error.kind(), ErrorKind::TemplateNotFound(_));
    PagesError::ErrorPage(if is_missing {
        format!("there is no page {name}; put {name}.html into the folder of SENTINEL_TEMPLATES")
    } else {
        let what = describe(folder, error);
        format!("{what}; an error page is filled with `error` and `meaning` alone")
    })
}

fn policy<'a>(sources: impl Iterator<Item = &'a String>) -> HeaderValue {
    let styles = style::allowed(sources.map(String::as_str));
    let policy = format!(
        "default-src 'none'; style-src {styles}; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'"
    );
    let strictest = "default-src 'none'; frame-ancestors 'none'";
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(strictest))
}
