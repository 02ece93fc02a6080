//! Several clusters in one environment, each by the alias of its provider block.

use crate::cluster::AnyCluster;
use crate::kubernetes::Stage;
use crate::support::holds;

const MODULE: &str = r#"
terraform {
  required_providers {
    kubernetes = {
      source                = "hashicorp/kubernetes"
      configuration_aliases = [kubernetes.other]
    }
  }
}

resource "kubernetes_manifest" "here" {
  manifest = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "here", namespace = "SPACE" }, data = { A = "1" } }
}

resource "kubernetes_manifest" "there" {
  provider = kubernetes.other
  manifest = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "there", namespace = "SPACE" }, data = { A = "1" } }
}
"#;

const CALL: &str = r#"
module "pair" {
  source    = "../../modules/pair"
  providers = { kubernetes = kubernetes.west, kubernetes.other = kubernetes.east }
}
"#;

const OWN: &str = r#"
resource "kubernetes_manifest" "own" {
  provider = kubernetes.east
  manifest = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "own", namespace = "SPACE" }, data = { A = "1" } }
}
"#;

fn providers(names: &[&str]) -> String {
    let block = |name: &&str| {
        format!(
            "provider \"kubernetes\" {{\n  alias      = \"{name}\"\n  kubeconfig = \"${{path.project}}/{name}.config\"\n}}\n"
        )
    };
    names.iter().map(block).collect()
}

fn names(cluster: &AnyCluster) -> Vec<String> {
    let Some(control) = cluster.control() else { return Vec::new() };
    let all = control.objects("configmaps").into_iter().filter(|one| one["metadata"]["namespace"] == "pair");
    all.filter_map(|one| one["metadata"]["name"].as_str().map(str::to_owned))
        .filter(|name| name != "kube-root-ca.crt")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_goes_into_the_cluster_that_its_provider_names() {
    let (west, east) = (AnyCluster::in_process().await, AnyCluster::in_process().await);
    west.namespace("pair").await;
    let stage = Stage::new(&east, "pair").await.namespace().await;
    for (name, cluster) in [("west", &west), ("east", &east)] {
        stage.sandbox.write(&format!("{name}.config"), &cluster.kubeconfig("test", "admin-token"));
    }
    stage.write("modules/pair/main.hcl", MODULE);
    let main = "environments/test/main.hcl";
    stage.write(main, &format!("{}{CALL}{OWN}", providers(&["west", "east"])));
    let ran = stage.apply().succeeds();
    holds(&ran.stdout, &["Resources: 3 added, 0 changed, 0 destroyed.\n"]);
    assert_eq!((names(&west), names(&east)), (vec!["here".to_owned()], vec!["own".to_owned(), "there".to_owned()]));
    stage.settled();

    // Without its provider block nobody knows where an object is.
    stage.write(main, &format!("{}{CALL}", providers(&["west"])).replace("kubernetes.east", "kubernetes.west"));
    let plan = stage.run("plan test").exits(6);
    let why = "There is no provider configuration \"kubernetes.east\" any more. Put its provider block back until what it made is \
               gone, or take that out of the ledger with: gantry state rm.";
    holds(&format!("{}{}", plan.stdout, plan.stderr), &[why]);
    let ran = stage.apply().exits(6);
    holds(&ran.stderr, &[why]);
    assert_eq!(names(&east), ["own", "there"]);
    // With the block it goes in the ordinary way; the object that moves to the other cluster is another object.
    stage.write(main, &format!("{}{CALL}", providers(&["west", "east"])));
    let _ = stage.apply().succeeds();
    assert_eq!((names(&west), names(&east)), (vec!["here".to_owned()], vec!["there".to_owned()]));
    let _ = stage.run("destroy test --auto-approve").succeeds();
    assert!(names(&west).is_empty() && names(&east).is_empty());
}
