//! The contract of the stores, as one suite that every implementation runs.

mod attempts;
mod conversion;
mod ends;
mod records;
mod standings;
mod token_writes;
mod tokens;

use tempfile::TempDir;
use warp_sentinel::clock::Clock;
use warp_sentinel::domain::token::TokenRecord;
use warp_sentinel::domain::user::User;
use warp_sentinel::stores::{TokenWrite, Truth, embedded, mongo};

use super::fixtures::new_user;
use super::mongo::fresh_settings;

/// A fresh store, and the folder it lives in if it has one.
struct Opened {
    truth: Truth,
    _folder: Option<TempDir>,
}

/// Runs each check of the contract as a test of its own against the store that `$open` opens.
macro_rules! keeps_the_contract {
    ($store:ident, $open:ident) => {
        mod $store {
            keeps_the_contract!(@tests super::super::$open =>
                records::a_username_is_given_once,
                records::a_user_is_found_as_it_was_stored,
                records::several_users_are_found_by_name_in_the_order_asked_for,
                records::users_are_found_by_identifier_and_listed_by_page,
                records::a_client_is_found_as_it_was_stored,
                records::clients_are_listed_by_page,
                token_writes::a_user_and_client_have_one_pair,
                token_writes::a_pair_is_replaced_by_the_first_who_read_it,
                token_writes::a_replaced_pair_keeps_its_identifier,
                token_writes::a_pair_is_removed_only_as_it_was_read,
                token_writes::each_write_of_a_batch_has_its_own_outcome,
                token_writes::a_large_batch_is_written_whole,
                tokens::pairs_are_found_by_their_tokens,
                tokens::a_present_refresh_token_wins_over_a_spent_one,
                tokens::pairs_are_found_by_session_and_family,
                token_writes::a_pair_survives_with_all_its_fields,
                tokens::a_grant_needs_its_user_and_client,
                ends::the_first_memory_of_an_end_stays,
                ends::an_end_is_marked_until_it_is_settled,
                ends::what_two_rounds_want_is_settled_by_either,
                ends::a_round_is_remembered_along_with_what_became_of_an_earlier_one,
                tokens::live_records_are_listed_from_the_latest_expiry_on,
                records::a_secret_is_chosen_once,
                attempts::as_many_attempts_are_counted_as_may_fail,
                attempts::attempts_that_failed_stay_and_others_are_given_back,
                attempts::attempts_of_one_window_mean_nothing_to_the_next,
                attempts::attempts_of_one_key_are_none_of_another,
                tokens::nothing_asked_is_nothing_answered,
                standings::a_change_of_a_user_counts_the_end_of_its_sessions,
                standings::a_user_is_removed_only_as_it_was_disabled,
                standings::a_change_of_a_client_counts_the_end_of_its_sessions,
                standings::the_pairs_of_somebody_are_listed_by_page,
                standings::secrets_are_replaced_by_the_first_who_read_them,
                conversion::how_tokens_are_kept_is_noted_when_the_change_is_finished,
                conversion::a_hashed_pair_is_found_by_its_hashes_alone,
                conversion::all_ends_are_listed_by_page_and_forgotten,
            );
        }
    };
    (@tests $open:path => $($part:ident::$check:ident,)*) => {
        mod tests {
            $(#[tokio::test]
            async fn $check() {
                super::super::$part::$check(&$open().await.truth).await;
            })*
        }
    };
}

keeps_the_contract!(on_mongodb, open_mongo);
keeps_the_contract!(on_the_embedded_store, open_embedded);

async fn open_mongo() -> Opened {
    let settings = fresh_settings().await;
    Opened {
        truth: mongo::open(&settings, &Clock::default()).await.unwrap(),
        _folder: None,
    }
}

async fn open_embedded() -> Opened {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sentinel.redb");
    Opened {
        truth: embedded::open(&path, &Clock::default()).unwrap(),
        _folder: Some(folder),
    }
}

async fn insert_user(truth: &Truth, username: &str) -> User {
    truth.users.insert_user(&new_user(username)).await.unwrap()
}

async fn insert(truth: &Truth, record: TokenRecord) -> TokenRecord {
    let insert = TokenWrite::Insert(record.clone());
    assert_eq!(truth.tokens.write(&[insert]).await.unwrap(), [true]);
    record
}
