//! The life of a resource, from `kubectl apply` to the end.

use unscim::operator::resource::ConditionStatus;

use crate::rig::{Operator, Retirement, case, namespace};

#[test]
fn a_resource_is_applied_and_ends_retired() {
    case(async {
        let place = namespace("whole").await;
        let _operator = Operator::start("whole", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 1).await;
        retirement.apply().await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        retirement.until_retired().await;
        let events = retirement.events().await;
        for reason in ["PhaseChanged", "DeleteTheToken", "Retired"] {
            assert!(events.iter().any(|(told, _)| told == reason), "no {reason}: {events:#?}");
        }
    });
}
