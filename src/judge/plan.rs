//! Folds preflight and the five steps over the facts into a plan. Pure; nothing here looks or writes.

use std::fmt;

use crate::judge::baseline;
use crate::judge::facts::Facts;
use crate::judge::preflight::{self, Findings};
use crate::judge::step::{Reach, Verdict};
use crate::judge::steps::GUIDE;
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::key::KeyKind;
use crate::model::memory::BaselineSource;
use crate::model::observed::Observed;
use crate::model::spec::Mode;

/// What one turn would do, and what it found.
#[derive(Clone, Debug)]
pub struct Plan {
    pub findings: Findings,
    pub baseline: Judged,
    /// In the order of the guide.
    pub steps: Vec<Judged>,
    pub actions: Vec<Action>,
    /// What only a person can decide, from preflight and the steps.
    pub refused: Vec<String>,
}

/// One condition, before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub condition: ConditionKind,
    pub truth: Truth,
    pub reason: Reason,
    pub message: String,
}

/// May an empty ledger take its first baseline?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewBaseline {
    Allowed,
    Forbidden,
    /// There was one, by what lies beside the ledger.
    Lost,
}

/// The first of the steps that is not met.
enum Unmet {
    /// It could not be read.
    Read,
    Step(u8),
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmet::Read => f.write_str("a complete read"),
            Unmet::Step(number) => write!(f, "step {number}"),
        }
    }
}

pub fn plan(facts: &Facts, new_baseline: NewBaseline) -> Plan {
    let findings = preflight::check(facts);
    let (baseline, record) = judge_baseline(facts, &findings, new_baseline);
    let mut plan = Plan { refused: findings.refusals.clone(), findings, baseline, steps: Vec::new(), actions: Vec::new() };
    let passed = plan.findings.refusals.is_empty() && plan.findings.unknowns.is_empty();
    if record {
        plan.actions.push(Action::RecordBaseline);
    }
    let started = plan.baseline.truth == Truth::True || plan.baseline.reason == Reason::Provisional;
    let (mut unmet, mut follows_proof) = (None::<Unmet>, false);
    for step in &GUIDE {
        let judged = |truth, reason, message| Judged { condition: step.condition, truth, reason, message };
        let proof = match (&unmet, step.reach) {
            (Some(Unmet::Read), Reach::Everything(proven)) => proven(facts),
            _ => None,
        };
        let waits_for = match (&unmet, step.reach) {
            _ if !started => Some("the baseline".to_owned()),
            (Some(earlier), Reach::Everything(_)) if proof.is_none() => Some(earlier.to_string()),
            _ => None,
        };
        if let Some(on) = waits_for {
            // Behind what is proven it is the read alone that is missing.
            let reason = if follows_proof { Reason::LookFailed } else { Reason::Blocked };
            plan.steps.push(judged(Truth::Unknown, reason, format!("waits for {on}")));
            continue;
        }
        follows_proof = proof.is_some();
        let verdict = proof.unwrap_or_else(|| step.verdict(facts));
        if unmet.is_none() && !matches!(verdict, Verdict::Met { .. }) {
            let is_unread = matches!(verdict, Verdict::Wait { reason: Reason::LookFailed, .. });
            unmet = Some(if is_unread { Unmet::Read } else { Unmet::Step(step.number) });
        }
        plan.steps.push(match verdict {
            Verdict::Met { reason, why } => judged(Truth::True, reason, why),
            Verdict::Act { reason, why, mut actions, refused } => {
                // Findings of preflight stop everything but giving users rows of their own.
                actions.retain(|action| passed || !action.is_destructive());
                match plan.actions.is_empty() {
                    true => plan.actions = actions,
                    false => plan.actions.append(&mut actions),
                }
                plan.refused.extend(refused);
                judged(Truth::False, reason, why)
            }
            Verdict::Wait { reason, on } => {
                let truth = if reason == Reason::LookFailed { Truth::Unknown } else { Truth::False };
                judged(truth, reason, format!("waits for {on}"))
            }
            Verdict::Refuse { reason, why } => {
                plan.refused.extend(why.iter().cloned());
                judged(Truth::False, reason, why.join("; "))
            }
        });
    }
    if !started_writing(facts, &plan) {
        plan.actions.retain(|action| *action == Action::RecordBaseline);
    }
    plan
}

/// A refusal before the first write means: no write at all. Once under way, covering users goes on through any trouble.
fn started_writing(facts: &Facts, plan: &Plan) -> bool {
    let under_way = facts.memory.journal.of(KeyKind::Assigns).next().is_some();
    under_way || plan.findings.refusals.iter().all(|refusal| plan.findings.paused.as_ref() == Some(refusal))
}

fn judge_baseline(facts: &Facts, findings: &Findings, new: NewBaseline) -> (Judged, bool) {
    let judged = |truth, reason, message: String| Judged { condition: ConditionKind::BaselineRecorded, truth, reason, message };
    match (&facts.memory.baseline, facts.memory.source) {
        (Observed::Known(baseline), BaselineSource::Ledger) => {
            let message = format!(
                "{} users in {} groups, first taken at {:.0}",
                baseline.users.len(),
                baseline.groups.len(),
                baseline.taken
            );
            (judged(Truth::True, Reason::Recorded, message), false)
        }
        (Observed::Known(baseline), BaselineSource::Provisional) => {
            let message = format!(
                "judged on a provisional baseline in memory: {} users in {} groups",
                baseline.users.len(),
                baseline.groups.len()
            );
            (judged(Truth::False, Reason::Provisional, message), false)
        }
        (Observed::Unknown(why), _) if why.kind == "bound-elsewhere" => {
            (judged(Truth::False, Reason::LedgerBoundElsewhere, why.to_string()), false)
        }
        (Observed::Unknown(why), _) => (judged(Truth::Unknown, Reason::LedgerUnreadable, why.to_string()), false),
        (Observed::Absent, _) => {
            let trouble = match baseline::here(facts) {
                Err(why) => Some(why.clone()),
                Ok(baseline) if baseline.groups.is_empty() && !facts.is_already_direct() => {
                    Some("no listed group is assigned to the app".into())
                }
                Ok(_) => None,
            };
            if facts.spec.mode == Mode::Enforce && new != NewBaseline::Allowed {
                let message = match new {
                    NewBaseline::Lost => {
                        "the ledger is empty, and a file beside the config (its name with .begun behind it) tells that a baseline was taken before: the ledger's \
                         volume was lost; restore it, or, to begin anew with whoever is in scope now, delete that file"
                    }
                    NewBaseline::Forbidden | NewBaseline::Allowed => {
                        "the ledger is empty; if this is the first start, run once with --new-baseline; if not, its volume was lost: restore it"
                    }
                };
                (judged(Truth::False, Reason::NewBaselineNeeded, message.into()), false)
            } else if let Some(why) = trouble {
                (judged(Truth::False, Reason::NotRecordedYet, why), false)
            } else if !findings.refusals.is_empty() || !findings.unknowns.is_empty() {
                (judged(Truth::False, Reason::NotRecordedYet, "preflight has not passed".into()), false)
            } else {
                (judged(Truth::False, Reason::NotRecordedYet, "it is taken in this turn".into()), true)
            }
        }
    }
}
