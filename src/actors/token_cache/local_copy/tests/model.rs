//! Generated interleavings of look-ups, invalidations and lost connections, against a model of one
//! Redis connection: what it reads is tracked, and its answers and pushes come in one stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const TOKENS: usize = 4;

/// One thing that may happen next. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// The shard notes the order and asks Redis for two tokens.
    Ask(usize, usize),
    /// Redis reads what the next request asks for.
    Read,
    /// A token gets another grant in Redis, or ends there.
    Change(usize),
    End(usize),
    Flush,
    /// This server ends a token: first here, then in Redis.
    EndHere(usize),
    /// The next message of the stream arrives.
    Receive,
    /// An answer that arrived is filled in.
    Fill(usize),
    /// So many other invalidations that no earlier look-up can be compared.
    Flood,
    Lose,
    /// The loss of an earlier connection is told once more.
    LoseEarlier,
    Connect,
    /// A connection that is lost before it is trusted.
    ConnectInVain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let token = || 0..TOKENS;
    let step = prop_oneof![
        6 => (token(), token()).prop_map(|(one, other)| Step::Ask(one, other)),
        6 => Just(Step::Read),
        3 => token().prop_map(Step::Change),
        2 => token().prop_map(Step::End),
        1 => Just(Step::Flush),
        1 => token().prop_map(Step::EndHere),
        8 => Just(Step::Receive),
        6 => (0..8_usize).prop_map(Step::Fill),
        1 => Just(Step::Flood),
        1 => Just(Step::Lose),
        1 => Just(Step::LoseEarlier),
        2 => Just(Step::Connect),
        1 => Just(Step::ConnectInVain),
    ];
    prop::collection::vec(step, 1..120)
}

/// An answer of Redis: which grant each token had.
struct Answer {
    noted: Noted,
    found: Vec<(usize, u32)>,
}

enum Message {
    Answer(Answer),
    Invalidated(usize),
    InvalidatedAll,
}

/// Redis, the connection to it, and the local copy that is tried.
struct Model {
    local: LocalCopy,
    /// The number of each token's grant, while it lives.
    redis: BTreeMap<usize, u32>,
    grants: u32,
    tracked: BTreeSet<usize>,
    connection: Option<u64>,
    requests: VecDeque<(Noted, [usize; 2])>,
    stream: VecDeque<Message>,
    landed: Vec<Answer>,
    hits: usize,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            local: LocalCopy::new(),
            redis: (0..TOKENS).map(|token| (token, 0)).collect(),
            grants: 0,
            tracked: BTreeSet::new(),
            connection: None,
            requests: VecDeque::new(),
            stream: VecDeque::new(),
            landed: Vec::new(),
            hits: 0,
        };
        model.connect();
        model
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Ask(one, other) if self.connection.is_some() => {
                self.requests.push_back((self.local.note(), [one, other]));
            }
            Step::Read => self.read(),
            Step::Change(token) if self.redis.contains_key(&token) => {
                self.grants += 1;
                self.redis.insert(token, self.grants);
                self.push(token);
            }
            Step::End(token) => self.end(token),
            Step::Flush => {
                self.redis.clear();
                self.tracked.clear();
                self.stream.push_back(Message::InvalidatedAll);
            }
            Step::EndHere(token) => {
                self.local.end(&[numbered(token)]);
                self.end(token);
            }
            Step::Receive => self.receive(),
            Step::Fill(which) if !self.landed.is_empty() => {
                let answer = self.landed.swap_remove(which % self.landed.len());
                let found = answer.found.into_iter();
                let found = found.map(|(token, grant)| (numbered(token), numbered_grant(grant)));
                self.local.fill(answer.noted, found.collect());
            }
            Step::Flood => {
                for _ in 0..=FORGOTTEN {
                    self.local.forget(&[numbered(TOKENS)]);
                }
            }
            Step::Lose => self.lose(),
            Step::LoseEarlier => {
                let earlier = self.connection.map_or(0, |number| number - 1);
                self.local.distrust(earlier);
            }
            Step::Connect if self.connection.is_none() => self.connect(),
            Step::ConnectInVain if self.connection.is_none() => {
                let number = self.local.next_connection();
                self.local.distrust(number);
                self.local.trust(Source::Connection(number));
            }
            _ => {}
        }
    }

    fn read(&mut self) {
        if let Some((noted, tokens)) = self.requests.pop_front() {
            self.tracked.extend(tokens);
            let found = tokens.into_iter();
            let found = found.filter_map(|token| Some((token, *self.redis.get(&token)?)));
            let found = found.collect();
            self.stream
                .push_back(Message::Answer(Answer { noted, found }));
        }
    }

    fn end(&mut self, token: usize) {
        if self.redis.remove(&token).is_some() {
            self.push(token);
        }
    }

    fn push(&mut self, token: usize) {
        if self.tracked.remove(&token) {
            self.stream.push_back(Message::Invalidated(token));
        }
    }

    fn receive(&mut self) {
        match self.stream.pop_front() {
            Some(Message::Answer(answer)) => self.landed.push(answer),
            Some(Message::Invalidated(token)) => self.local.forget(&[numbered(token)]),
            Some(Message::InvalidatedAll) => self.local.forget_all(),
            None => {}
        }
    }

    // What was on its way is gone; what had arrived may still be filled in.
    fn lose(&mut self) {
        if let Some(number) = self.connection.take() {
            self.local.distrust(number);
            self.requests.clear();
            self.stream.clear();
            self.tracked.clear();
        }
    }

    fn connect(&mut self) {
        let number = self.local.next_connection();
        self.local.trust(Source::Connection(number));
        self.connection = Some(number);
        self.stream.clear();
    }

    /// A token is served as Redis has it, or the word that it changed is on its way.
    fn check(&mut self) -> Result<(), TestCaseError> {
        for token in 0..TOKENS {
            let Some(served) = self.local.find(&numbered(token), START) else {
                continue;
            };
            self.hits += 1;
            let present = self.redis.get(&token);
            let is_present = present.is_some_and(|grant| numbered_grant(*grant) == served);
            let is_told = self.stream.iter().any(|message| match message {
                Message::Answer(_) => false,
                Message::Invalidated(changed) => *changed == token,
                Message::InvalidatedAll => true,
            });
            prop_assert!(self.connection.is_some(), "served without a connection");
            prop_assert!(is_present || is_told, "token {token} is stale");
        }
        Ok(())
    }
}

fn numbered_grant(number: u32) -> LiveToken {
    live(&number.to_string(), "jonas")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_interleaving_leaves_a_stale_token(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.take(step);
            model.check()?;
        }
        while !model.stream.is_empty() {
            model.receive();
        }
        model.check()?;
    }
}

#[test]
fn the_model_serves_what_was_filled_in_and_notices_what_is_stale() {
    let mut model = Model::new();
    for step in [Step::Ask(0, 1), Step::Read, Step::Receive, Step::Fill(0)] {
        model.take(&step);
        model.check().unwrap();
    }
    assert_eq!(model.hits, 2);
    model.take(&Step::End(0));
    // Without the word that is on its way, it would be stale.
    model.check().unwrap();
    model.stream.clear();
    assert!(model.check().is_err());
}
