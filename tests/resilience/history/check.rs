//! The checker: what a history must not hold, whatever failed meanwhile.
//!
//! It knows when each pair was acknowledged, from when on it may have ended (a request that could
//! end it had begun, answered or not) and from when on it must have (such a request was
//! acknowledged). A refusal before the first or an acceptance after the second is a violation.

use std::collections::HashMap;
use std::time::Duration;

use super::entry::{Asked, Entry, Pair, Told};

/// How long a server may go on accepting an access token whose end another one acknowledged: the
/// hard limit of promise P3.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// Longer than any request lasts.
const LONG_AGO: Duration = Duration::from_secs(10);

/// What is known of one acknowledged pair.
struct Life {
    /// The entry that acknowledged it first.
    by: usize,
    /// The login it descends from, as an index of lives.
    family: usize,
    /// From when on something other than its own refresh may have ended it.
    may_end: Duration,
    /// From when on its own refresh may have.
    may_rotate: Duration,
    /// When something other than its own refresh was acknowledged, and by which server.
    ended: Vec<(Duration, usize)>,
    /// When its own refresh was.
    rotated: Option<(Duration, usize)>,
}

impl Life {
    // Whether nothing may have ended it when this was answered.
    fn lives(&self, entry: &Entry) -> bool {
        self.may_end.min(self.may_rotate) > entry.ended
    }

    // Whether it had ended for certain when this was asked. Other servers hear of it later.
    fn is_over(&self, entry: &Entry, heard_within: Duration) -> bool {
        self.ended.iter().chain(&self.rotated).any(|(at, server)| {
            let is_here = *server == entry.server;
            let slack = if is_here {
                Duration::ZERO
            } else {
                heard_within
            };
            *at + slack < entry.began
        })
    }
}

/// All that is wrong with a history, one line each.
pub(crate) fn violations(entries: &[Entry]) -> Vec<String> {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|entry| entry.ended);
    let mut checker = Checker {
        entries: &entries,
        lives: Vec::new(),
        sessions: HashMap::new(),
        families: HashMap::new(),
        by_access: HashMap::new(),
        by_refresh: HashMap::new(),
        successors: HashMap::new(),
        found: Vec::new(),
    };
    checker.learn_pairs();
    checker.learn_ends();
    for entry in &entries {
        checker.check(entry);
    }
    checker.found
}

struct Checker<'a> {
    entries: &'a [Entry],
    lives: Vec<Life>,
    /// The lives of each session that no login ended long ago.
    sessions: HashMap<usize, Vec<usize>>,
    families: HashMap<usize, Vec<usize>>,
    by_access: HashMap<&'a str, usize>,
    by_refresh: HashMap<&'a str, usize>,
    successors: HashMap<&'a str, &'a Pair>,
    found: Vec<String>,
}

impl<'a> Checker<'a> {
    fn learn_pairs(&mut self) {
        for (by, entry) in self.entries.iter().enumerate() {
            let Told::Pair(pair) = &entry.told else {
                continue;
            };
            let mut family = self.lives.len();
            if let Asked::Refresh(spent) = &entry.asked {
                let first = *self.successors.entry(spent).or_insert(pair);
                if first != pair {
                    self.report("a refresh token with two successors", entry);
                } else if self.by_access.contains_key(pair.access.as_str()) {
                    continue;
                }
                if let Some(parent) = self.by_refresh.get(spent.as_str()) {
                    family = self.lives[*parent].family;
                }
            }
            let number = self.lives.len();
            let is_new = self.by_access.insert(&pair.access, number).is_none();
            if !is_new | self.by_refresh.insert(&pair.refresh, number).is_some() {
                self.report("a token was issued twice", entry);
            }
            self.sessions.entry(entry.session).or_default().push(number);
            self.families.entry(family).or_default().push(number);
            self.lives.push(Life {
                by,
                family,
                may_end: Duration::MAX,
                may_rotate: Duration::MAX,
                ended: Vec::new(),
                rotated: None,
            });
        }
    }

    fn learn_ends(&mut self) {
        for (number, entry) in self.entries.iter().enumerate() {
            match &entry.asked {
                Asked::Login => self.learn_login(number, entry),
                Asked::Refresh(token) => self.learn_refresh(token, entry),
                Asked::Revoke(token) => self.learn_revocation(token, entry),
                Asked::Verify(_) => {}
            }
        }
    }

    // A login ends what its session has.
    fn learn_login(&mut self, number: usize, entry: &Entry) {
        let Some(session) = self.sessions.get_mut(&entry.session) else {
            return;
        };
        session.retain(|life| {
            let mut ended = self.lives[*life].ended.iter();
            !ended.any(|(at, _)| *at + LONG_AGO < entry.began)
        });
        for life in session {
            let life = &mut self.lives[*life];
            let issued = &self.entries[life.by];
            if life.by != number && issued.began < entry.ended {
                life.may_end = life.may_end.min(entry.began);
            }
            if issued.ended < entry.began && matches!(entry.told, Told::Pair(_)) {
                life.ended.push((entry.ended, entry.server));
            }
        }
    }

    fn learn_refresh(&mut self, token: &str, entry: &Entry) {
        let Some(number) = self.by_refresh.get(token) else {
            return;
        };
        let life = &mut self.lives[*number];
        life.may_rotate = life.may_rotate.min(entry.began);
        if matches!(entry.told, Told::Pair(_)) {
            let told = (entry.ended, entry.server);
            life.rotated = Some(life.rotated.map_or(told, |first| first.min(told)));
        }
    }

    // Whoever revokes a token that was spent ends what descends from it.
    fn learn_revocation(&mut self, token: &str, entry: &Entry) {
        let number = self.by_access.get(token).or(self.by_refresh.get(token));
        let Some(number) = number.copied() else {
            return;
        };
        if entry.told == Told::Yes {
            let told = (entry.ended, entry.server);
            self.lives[number].ended.push(told);
        }
        for life in &self.families[&self.lives[number].family] {
            let life = &mut self.lives[*life];
            if self.entries[life.by].began < entry.ended {
                life.may_end = life.may_end.min(entry.began);
            }
        }
    }

    fn check(&mut self, entry: &'a Entry) {
        let life = |found: Option<&usize>| found.map(|number| &self.lives[*number]);
        let of_access = |token: &str| life(self.by_access.get(token));
        let of_refresh = |token: &str| life(self.by_refresh.get(token));
        let accepted = "an ended token was accepted";
        let lost = "an acknowledged token is lost";
        let (what, is_wrong) = match (&entry.asked, &entry.told) {
            (_, Told::Odd(_)) => ("an answer that no server should give", true),
            (Asked::Login, Told::No) => ("a login was refused", true),
            (Asked::Verify(token), Told::No) => {
                (lost, of_access(token).is_some_and(|life| life.lives(entry)))
            }
            (Asked::Refresh(token), Told::No) => {
                let is_lost = |life: &Life| life.may_end > entry.ended;
                (lost, of_refresh(token).is_some_and(is_lost))
            }
            (Asked::Verify(token), Told::Yes) => {
                let is_over = |life: &Life| life.is_over(entry, HEARD_WITHIN);
                (accepted, of_access(token).is_some_and(is_over))
            }
            (Asked::Refresh(token), Told::Pair(pair)) => {
                let has_ended = |life: &Life| life.ended.iter().any(|end| end.0 < entry.began);
                let is_over = |life: &Life| life.is_over(entry, Duration::ZERO);
                let is_wrong = of_refresh(token).is_some_and(has_ended)
                    || of_access(&pair.access).is_some_and(is_over);
                ("an ended refresh token was accepted", is_wrong)
            }
            _ => return,
        };
        if is_wrong {
            self.report(what, entry);
        }
    }

    fn report(&mut self, what: &str, entry: &Entry) {
        self.found.push(format!("{what}: {entry:?}"));
    }
}
