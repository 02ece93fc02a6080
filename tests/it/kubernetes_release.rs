//! Releases in Kubernetes: rollback, and promotion from one namespace to another.

use crate::cluster::AnyCluster;
use crate::kubernetes::{PROVIDER, SETTINGS, Stage, WEB, both};
use crate::support::holds;

both!(a_rollback_brings_image_and_configuration_back, what_staging_proved_goes_to_production);

async fn image(stage: &Stage<'_>, space: &str) -> String {
    let path = format!("/apis/apps/v1/namespaces/{space}/deployments/web");
    let web = stage.cluster.ask("GET", &path, "application/json", &serde_json::Value::Null).await;
    web.body["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

async fn a_rollback_brings_image_and_configuration_back(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "back").await.namespace().await;
    let all = format!("{SETTINGS}{WEB}");
    stage.main(&all);
    let _ = stage.apply().succeeds();
    stage.main(&all.replace("shop/api:1", "shop/api:2").replace("\"hello\"", "\"bye\"").replace("COLOUR", "COLOR"));
    let _ = stage.apply().succeeds();
    assert_eq!(image(&stage, "back").await, "shop/api:2");
    let ran = stage.run("rollback test --auto-approve").succeeds();
    holds(&ran.stdout, &["~ image = \"shop/api:2\" -> \"shop/api:1\"", "Plan: 0 to add, 2 to change, 0 to destroy."]);
    assert_eq!(image(&stage, "back").await, "shop/api:1");
    let data = stage.get("api/v1", "configmaps/settings").await["data"].clone();
    assert_eq!(data, serde_json::json!({"GREETING": "hello", "COLOUR": "red"}));
    assert_eq!(stage.deployment().await["status"]["updatedReplicas"], 2);
    let _ = stage.run("drift test").succeeds();
}

const CALL: &str = r#"
module "app" {
  source = "../../modules/app"
  space  = "NAME"
}

smoke_test "there" {
  depends_on = [module.app]
  command { argv = ["true"] }
}
"#;

async fn what_staging_proved_goes_to_production(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "unused").await;
    let module = format!("variable \"space\" {{}}\n{}", format!("{SETTINGS}{WEB}").replace("\"SPACE\"", "var.space"));
    let ship = |image: &str| stage.write("modules/app/main.hcl", &module.replace("shop/api:1", image));
    let gate =
        "environment {\n  promotion {\n    from    = \"staging\"\n    require = [\"smoke_test.there\"]\n  }\n}\n";
    for (name, more) in [("staging", ""), ("production", gate)] {
        cluster.namespace(name).await;
        let text = format!("{PROVIDER}{}{more}", CALL.replace("NAME", name));
        stage.write(&format!("environments/{name}/main.hcl"), &text);
    }
    let promote = "promote staging production --auto-approve";
    ship("shop/api:1");
    let _ = stage.run("apply staging --auto-approve").succeeds();
    let _ = stage.run(promote).succeeds();
    assert_eq!(image(&stage, "production").await, "shop/api:1");
    // What fails in staging is no release; what the tree says meanwhile does not matter.
    ship("shop/crash:2");
    let _ = stage.run("apply staging --auto-approve").exits(3);
    let _ = stage.run("promote --auto staging production").succeeds();
    assert_eq!(
        (image(&stage, "staging").await, image(&stage, "production").await),
        ("shop/api:1".into(), "shop/api:1".into())
    );
    ship("shop/api:3");
    let _ = stage.run("apply staging --auto-approve").succeeds();
    ship("shop/notfound:4");
    let shown = stage.run("promote staging production --dry-run").succeeds();
    holds(&shown.stdout, &["goes from \"staging\" to \"production\":\n", "~ image = \"shop/api:1\" -> \"shop/api:3\""]);
    let _ = stage.run(promote).succeeds();
    assert_eq!(image(&stage, "production").await, "shop/api:3");
    // A staging that somebody changed proves nothing.
    let path = "/apis/apps/v1/namespaces/staging/deployments/web?fieldManager=kubectl-edit";
    let patch = serde_json::json!({"spec": {"replicas": 1}});
    assert_eq!(cluster.ask("PATCH", path, "application/merge-patch+json", &patch).await.code, 200);
    ship("shop/api:3");
    let refused = stage.run(promote).exits(5);
    holds(
        &refused.stderr,
        &[
            "Error: Promotion refused\n",
            "What runs there is not what was proven. Not as they were recorded: module.app.kubernetes_manifest.web.",
        ],
    );
    let _ = stage.run("destroy production --auto-approve").succeeds();
    let _ = stage.run("destroy staging --auto-approve").succeeds();
    assert_eq!(image(&stage, "production").await, "");
}
