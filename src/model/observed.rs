//! What a look at something can say. Not knowing is a value of its own and never means "no".

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of looking at one thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Observed<T> {
    /// It was read, whole.
    Known(T),
    /// The service said, in its own words, that it is not there.
    Absent,
    /// It could not be read, or was not read; nothing follows from that.
    Unknown(Why),
}

/// The result of looking at a list, or at anything that can't fail to exist: a list is read whole, or not known. It is never
/// absent: a service that has no such path has not said that nothing is in the list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listed<T> {
    Known(T),
    Unknown(Why),
}

/// A kind of thing that is not known here: no reading again tells what it is.
pub const UNHEARD_OF: &str = "unheard-of";
/// The service has no answer to this question, whoever is meant.
pub const UNSEARCHABLE: &str = "unsearchable";
const NOT_LOOKED: &str = "not-looked";

/// Why a look brought nothing, as one sentence for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Why {
    /// A fixed label of the kind of failure (`denied`, `transient`, `not-looked` …).
    pub kind: String,
    /// The sentence.
    pub text: String,
}

impl Why {
    pub fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Why { kind: kind.into(), text: text.into() }
    }

    /// Nobody looked this time.
    pub fn not_looked(what: &str) -> Self {
        Why::new(NOT_LOOKED, format!("{what} was not read in this turn"))
    }

    pub fn is_not_looked(&self) -> bool {
        self.kind == NOT_LOOKED
    }

    /// The service was not reached, or not for now: the next question would not fare better, and a later one may.
    pub fn stalls(&self) -> bool {
        matches!(self.kind.as_str(), "unreachable" | "broken" | "timed-out" | "throttled")
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T> Observed<T> {
    pub fn known(&self) -> Option<&T> {
        match self {
            Observed::Known(value) => Some(value),
            Observed::Absent | Observed::Unknown(_) => None,
        }
    }

    pub fn as_ref(&self) -> Observed<&T> {
        match self {
            Observed::Known(value) => Observed::Known(value),
            Observed::Absent => Observed::Absent,
            Observed::Unknown(why) => Observed::Unknown(why.clone()),
        }
    }

    pub fn is_known(&self) -> bool {
        matches!(self, Observed::Known(_))
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Observed::Absent)
    }

    pub fn unknown(&self) -> Option<&Why> {
        match self {
            Observed::Unknown(why) => Some(why),
            Observed::Known(_) | Observed::Absent => None,
        }
    }
}

impl<T> Default for Observed<T> {
    fn default() -> Self {
        Observed::Unknown(Why::new(NOT_LOOKED, "not read yet"))
    }
}

impl<T> Listed<T> {
    pub fn known(&self) -> Option<&T> {
        match self {
            Listed::Known(value) => Some(value),
            Listed::Unknown(_) => None,
        }
    }

    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    pub fn unknown(&self) -> Option<&Why> {
        match self {
            Listed::Known(_) => None,
            Listed::Unknown(why) => Some(why),
        }
    }

    /// Why it is not known, where somebody looked.
    pub fn failed(&self) -> Option<&Why> {
        self.unknown().filter(|why| !why.is_not_looked())
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Listed::Unknown(Why::new(NOT_LOOKED, "not read yet"))
    }
}
