//! The example program of Flask-Sentinel, in Rust: a route that wants a bearer token.

use warp::Filter;
use warp_sentinel::{Grant, Sentinel, Settings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sentinel = Sentinel::start(Settings::from_environment()?).await?;

    let restricted_access = warp::path!("endpoint")
        .and(warp::get())
        .and(sentinel.require_oauth())
        .map(|_grant: Grant| "You made it through and accessed the protected resource!");

    sentinel
        .serve(restricted_access.or(sentinel.routes()))
        .await?;
    Ok(())
}
