//! A real API server with its etcd (and, if it is there, the controller manager), as child processes in a temporary
//! directory: where `KUBEBUILDER_ASSETS` says, by the convention of envtest.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::server::kubeconfig;

/// The processes end when it is dropped.
pub(crate) struct RealCluster {
    url: String,
    processes: Vec<Child>,
    _folder: tempfile::TempDir,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl RealCluster {
    /// Where the programs are; none if the environment does not say.
    #[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
    pub(crate) fn assets() -> Option<PathBuf> {
        let folder = PathBuf::from(std::env::var_os("KUBEBUILDER_ASSETS")?);
        ["kube-apiserver", "etcd"].iter().all(|name| folder.join(name).is_file()).then_some(folder)
    }

    /// Starts one and waits until it is ready. `admin-token` is its administrator, `viewer-token` has no rights.
    pub(crate) async fn start(assets: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (etcd, peer, port) = (free_port(), free_port(), free_port());
        let etcd = format!("http://127.0.0.1:{etcd}");
        let tokens = "admin-token,admin,admin,\"system:masters\"\nviewer-token,viewer,viewer,\"viewers\"\n";
        std::fs::write(path("tokens"), tokens).unwrap();
        let key = Command::new("openssl").args(["genrsa", "-out", &path("key"), "2048"]).output().unwrap();
        assert!(key.status.success(), "openssl made no key");
        let start = |name: &str, options: &[String]| {
            let log = std::fs::File::create(path(&format!("{name}.log"))).unwrap();
            let mut command = Command::new(assets.join(name));
            command.args(options).stdout(Stdio::null()).stderr(log).stdin(Stdio::null());
            command.spawn().unwrap()
        };
        let etcd_options = [
            format!("--data-dir={}", path("data")),
            format!("--listen-client-urls={etcd}"),
            format!("--advertise-client-urls={etcd}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            "--unsafe-no-fsync".into(),
        ];
        let mut processes = vec![start("etcd", &etcd_options)];
        let options = [
            format!("--etcd-servers={etcd}"),
            format!("--cert-dir={}", path("certificates")),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".into(),
            format!("--token-auth-file={}", path("tokens")),
            "--authorization-mode=RBAC".into(),
            "--disable-admission-plugins=ServiceAccount".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", path("key")),
            format!("--service-account-signing-key-file={}", path("key")),
            "--service-cluster-ip-range=10.0.0.0/16".into(),
        ];
        processes.push(start("kube-apiserver", &options));
        let url = format!("https://127.0.0.1:{port}");
        let mut cluster = Self { url, processes, _folder: folder };
        cluster.wait().await;
        if assets.join("kube-controller-manager").is_file() {
            let folder = cluster._folder.path();
            let config = folder.join("kubeconfig");
            std::fs::write(&config, cluster.kubeconfig_of("admin", "admin-token")).unwrap();
            let log = std::fs::File::create(folder.join("controllers.log")).unwrap();
            let mut command = Command::new(assets.join("kube-controller-manager"));
            let controllers = "namespace-controller,garbage-collector-controller,resourcequota-controller,\
                               persistentvolumeclaim-protection-controller";
            command
                .arg(format!("--kubeconfig={}", config.display()))
                .arg(format!("--controllers={controllers}"))
                .arg(format!("--cert-dir={}", folder.join("more").display()))
                .arg(format!("--secure-port={}", free_port()))
                .args(["--leader-elect=false", "--bind-address=127.0.0.1"])
                .stdout(Stdio::null())
                .stderr(log)
                .stdin(Stdio::null());
            cluster.processes.push(command.spawn().unwrap());
        }
        cluster
    }

    async fn wait(&mut self) {
        let client = super::any::client(&self.kubeconfig_of("test", "admin-token")).await;
        for _ in 0..600 {
            let request = axum::http::Request::get("/readyz").body(kube::client::Body::empty()).unwrap();
            if let Ok(response) = client.send(request).await
                && response.status().is_success()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the real API server was not ready within a minute");
    }

    /// The text of a kubeconfig with somebody's token.
    pub(crate) fn kubeconfig_of(&self, context: &str, token: &str) -> String {
        kubeconfig(&self.url, context, token, "    insecure-skip-tls-verify: true\n")
    }
}

impl Drop for RealCluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
