//! Every call to a cluster, and everything that can go wrong with it: the run ends well or says what is wrong, leaves nothing that
//! it does not know of, and the same command given again ends where nothing had gone wrong.

use std::time::Duration;

use serde_json::json;

use crate::cluster::controllers::Fates;
use crate::cluster::{AnyCluster, Fault, On, Seen};
use crate::kubernetes::{SETTINGS, Stage, WEB, config_map};

/// A request that a fault is for, with what is done before it and the command that makes it.
struct Call {
    name: &'static str,
    /// The namespace of its own.
    space: &'static str,
    /// What is there before.
    before: Before,
    command: &'static str,
    /// The request: its verb, and which one of them.
    verb: &'static str,
    nth: usize,
    /// Whether it is the preview's.
    is_dry: bool,
}

/// What is there before a command.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    /// The object, which an earlier run made.
    Applied,
    /// The object as kubectl made it; the configuration imports it.
    Strange,
}

const CREATE: &str = "apply test --auto-approve";
const UPDATE: &str = "apply test --auto-approve --var greeting=bye";
const DESTROY: &str = "destroy test --auto-approve";

/// The first apply of a run is the preview's.
const CALLS: [Call; 12] = [
    Call {
        name: "create",
        space: "create",
        before: Before::Nothing,
        command: CREATE,
        verb: "apply",
        nth: 2,
        is_dry: false,
    },
    Call {
        name: "update",
        space: "update",
        before: Before::Applied,
        command: UPDATE,
        verb: "apply",
        nth: 2,
        is_dry: false,
    },
    Call {
        name: "delete",
        space: "delete",
        before: Before::Applied,
        command: DESTROY,
        verb: "delete",
        nth: 1,
        is_dry: false,
    },
    Call { name: "list", space: "list", before: Before::Applied, command: UPDATE, verb: "list", nth: 1, is_dry: false },
    Call {
        name: "get before a create",
        space: "get-a",
        before: Before::Nothing,
        command: CREATE,
        verb: "get",
        nth: 1,
        is_dry: false,
    },
    Call {
        name: "get after a delete",
        space: "get-b",
        before: Before::Applied,
        command: DESTROY,
        verb: "get",
        nth: 1,
        is_dry: false,
    },
    Call {
        name: "preview of a create",
        space: "dry-a",
        before: Before::Nothing,
        command: CREATE,
        verb: "apply",
        nth: 1,
        is_dry: true,
    },
    Call {
        name: "preview of an update",
        space: "dry-b",
        before: Before::Applied,
        command: UPDATE,
        verb: "apply",
        nth: 1,
        is_dry: true,
    },
    import("get of what is imported", "import-a", "get", 1),
    import("get before the take-over", "import-b", "get", 2),
    import("change of the account", "import-c", "patch", 2),
    import("apply of the take-over", "import-d", "apply", 2),
];

const IMPORT: &str = r#"
import {
  to = kubernetes_manifest.settings
  id = "apiVersion=v1,kind=ConfigMap,namespace=SPACE,name=settings"
}
"#;

const fn import(name: &'static str, space: &'static str, verb: &'static str, nth: usize) -> Call {
    Call { name, space, before: Before::Strange, command: CREATE, verb, nth, is_dry: false }
}

/// What the command may end with: well, refused, back where it was, not everything looked at, or not finished.
const ENDS: [i32; 6] = [0, 1, 3, 5, 6, 7];

async fn one(cluster: &AnyCluster, call: &Call, fault: &Fault) -> Result<(), String> {
    let stage = Stage::bare(cluster, call.space).namespace().await;
    let control = stage.control();
    stage.main(SETTINGS);
    match call.before {
        Before::Nothing => {}
        Before::Applied => drop(stage.apply().succeeds()),
        Before::Strange => {
            let mut object = config_map("settings", "GREETING", "hello");
            object["metadata"]["namespace"] = json!(call.space);
            object["data"]["COLOUR"] = json!("red");
            let _ = control.put("kubectl-create", &object);
            stage.main(&format!("{SETTINGS}{IMPORT}"));
        }
    }
    control.forget();
    control.fault(On::verb(call.verb).resource("configmaps").namespace(call.space).nth(call.nth), fault.clone());
    let ran = stage.run(call.command);
    let seen = control.requests();
    let is_it =
        |one: &&Seen| one.resource == "configmaps" && (one.verb == call.verb || call.verb == "apply" && one.is_apply);
    let hit = seen.iter().filter(is_it).nth(call.nth - 1);
    control.clear_faults();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let wrong = |what: String| Err(format!("{} with {fault:?}: {what}\n{said}", call.name));
    if hit.is_none_or(|hit| hit.is_dry_run != call.is_dry) {
        return wrong(format!("that is not the request that was meant: {hit:?}"));
    }
    let Some(code) = ran.code().filter(|code| ENDS.contains(code)) else {
        return wrong(format!("it ended with {:?}", ran.code()));
    };
    if code != 0 && ran.stderr.trim().is_empty() {
        return wrong("it ended without a word".into());
    }
    let there = control.object("configmaps", call.space, "settings");
    let deletes = call.command == DESTROY;
    if code == 0 && there.is_some() == deletes {
        return wrong(format!("it ended well, and the object is {there:?}"));
    }
    if code == 3 && there.is_some() != (call.before != Before::Nothing) && !deletes {
        return wrong(format!("it was taken back, and the object is {there:?}"));
    }
    let again = stage.run(call.command);
    let said = format!("{said}\n-- again\n{}{}", again.stdout, again.stderr);
    let wrong = |what: String| Err(format!("{} with {fault:?}: {what}\n{said}", call.name));
    if again.code() != Some(0) {
        return wrong(format!("the same command ends with {:?}", again.code()));
    }
    let there = control.object("configmaps", call.space, "settings").map(|one| one["data"].clone());
    let greeting = if call.command == UPDATE { "bye" } else { "hello" };
    let wanted = (!deletes).then(|| json!({"GREETING": greeting, "COLOUR": "red"}));
    if there != wanted {
        return wrong(format!("the object is {there:?} instead of {wanted:?}"));
    }
    let after = match deletes {
        true => vec!["drift test", "state verify test"],
        false => vec!["drift test", "state verify test", "plan test --detailed-exitcode --var greeting=GREETING"],
    };
    for command in after {
        let ran = stage.run(&command.replace("GREETING", greeting));
        if ran.code() != Some(0) {
            return wrong(format!("{command} afterwards: {:?}\n{}{}", ran.code(), ran.stdout, ran.stderr));
        }
    }
    Ok(())
}

async fn all(fault: Fault) {
    let cluster = AnyCluster::in_process().await;
    let mut wrong = Vec::new();
    for call in &CALLS {
        wrong.extend(one(&cluster, call, &fault).await.err());
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CALLS.len(), wrong.join("\n----\n"));
}

macro_rules! faults {
    ($($name:ident: $fault:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                all($fault).await;
            }
        )*
    };
}

faults! {
    too_many_requests: Fault::TooManyRequests { retry_after: 1 };
    server_error: Fault::Status(500);
    unavailable: Fault::Status(503);
    unauthorized: Fault::Unauthorized;
    forbidden: Fault::Status(403);
    closed_before: Fault::CloseBefore;
    closed_after: Fault::CloseAfter;
    late_effect: Fault::LateEffect(Duration::from_millis(400));
    truncated: Fault::Truncate;
    stale: Fault::Stale { changes: 1 };
    slow_answer: Fault::DelayAnswer(Duration::from_millis(500));
}

/// A rollout is waited for through watches that break off or expire, and through a server that answers nothing for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_waited_for_whatever_becomes_of_its_watches() {
    let cluster = AnyCluster::in_process().await;
    let slow = Fates { start: Duration::from_millis(300), ..Fates::default() };
    let stage = Stage::with(&cluster, "watch", slow).await.namespace().await;
    stage.main(WEB);
    let control = stage.control();
    let faults = [
        Fault::WatchClosed { after: 1 },
        Fault::WatchExpired { after: 0 },
        Fault::WatchExpired { after: 2 },
        Fault::CloseBefore,
        Fault::Status(500),
        Fault::TooManyRequests { retry_after: 1 },
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        for resource in ["deployments", "replicasets", "pods"] {
            control.fault(On::verb("watch").resource(resource).namespace("watch").times(1), fault.clone());
        }
        let ran = stage.run(&format!("apply test --auto-approve --var image=shop/api:{number}"));
        control.clear_faults();
        assert_eq!(ran.code(), Some(0), "{fault:?}: {}{}", ran.stdout, ran.stderr);
        let now = stage.deployment().await;
        assert_eq!(now["status"]["updatedReplicas"], 2, "{fault:?}");
        assert_eq!(now["status"]["availableReplicas"], 2, "{fault:?}");
    }
}

/// Evidence is worth having, and no reason to fail otherwise than without it.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_beside_a_rollout_changes_nothing_about_its_end() {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::new(&cluster, "beside").await.namespace().await;
    stage.main(WEB);
    let _ = stage.apply().succeeds();
    let control = stage.control();
    for resource in ["events", "pods/log"] {
        control.fault(On::any().resource(resource).namespace("beside").always(), Fault::Status(403));
    }
    let ran = stage.run("apply test --auto-approve --var image=shop/crash:2").exits(3);
    assert!(ran.stderr.contains("has ended 2 times, the last time with exit code 1."), "{}", ran.stderr);
    control.clear_faults();
    stage.settled();
}
