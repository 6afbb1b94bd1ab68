//! In which shares the kinds of requests are sent.

use std::fmt;
use std::str::FromStr;

use super::kind::Kind;
use super::random::Random;

/// Weights of kinds, at least one of them above zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix(Vec<(Kind, u32)>);

impl Mix {
    /// The kinds that are sent.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().map(|(kind, _)| *kind)
    }

    /// The kind of the next request.
    pub(crate) fn draw(&self, random: &mut Random) -> Kind {
        let sum = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = random.below(sum);
        for (kind, weight) in &self.0 {
            match left.checked_sub(u64::from(*weight)) {
                None => return *kind,
                Some(rest) => left = rest,
            }
        }
        self.0[0].0
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights: Vec<(Kind, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is not KIND=WEIGHT"))?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| {
                let known = Kind::ALL.map(Kind::name).join(", ");
                format!("{name:?} is none of the kinds: {known}")
            })?;
            let weight = weight
                .parse()
                .map_err(|_| format!("the weight {weight:?} is not a whole number"))?;
            if weights.iter().any(|(other, _)| *other == kind) {
                return Err(format!("{name} is there twice"));
            }
            weights.push((kind, weight));
        }
        weights.retain(|(_, weight)| *weight > 0);
        weights.sort_unstable();
        if weights.is_empty() {
            return Err("all weights are zero".to_owned());
        }
        Ok(Self(weights))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (kind, weight)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{}={weight}", kind.name())?;
        }
        Ok(())
    }
}
