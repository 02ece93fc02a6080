#!/usr/bin/env bash
# Gantry and kubectl on the same real API server: 2,000 objects of 6 kinds that stand, looked at with `gantry plan`, `gantry drift` and `kubectl diff`; and 500
# that do not, applied with `gantry apply` and `kubectl apply --server-side`.
#
#   tests/compare/kubernetes.sh            prints a Markdown table with medians and ratios
#
# Needs kubectl (Debian: apt-get install kubernetes-client), etcd and kube-apiserver in KUBEBUILDER_ASSETS (setup-envtest use -p path), and a release build of
# gantry (GANTRY=PATH, default target/release/gantry). Where one is missing it says so and is skipped with exit code 0.
# ROUNDS=5, OBJECTS=2000 and APPLIED=500 may be given.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
gantry="${GANTRY:-${CARGO_TARGET_DIR:-$root/target}/release/gantry}"
assets="${KUBEBUILDER_ASSETS:-/usr/local/kubebuilder/bin}"
rounds="${ROUNDS:-5}" objects="${OBJECTS:-2000}" applied="${APPLIED:-500}"

skip() {
    echo "SKIPPED: the comparison with kubectl: $1" >&2
    exit 0
}
command -v kubectl >/dev/null || skip "kubectl is not installed (Debian: apt-get install kubernetes-client)"
command -v python3 >/dev/null || skip "python3 is not installed"
command -v openssl >/dev/null || skip "openssl is not installed"
for program in etcd kube-apiserver; do
    [[ -x "$assets/$program" ]] || skip "there is no $program in KUBEBUILDER_ASSETS ($assets)"
done
[[ -x "$gantry" ]] || skip "there is no $gantry (cargo build --release)"

work="$(mktemp -d)"
pids=()
finish() {
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done # nothing of theirs is worth an orderly end
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
etcd_port="$(free_port)" peer_port="$(free_port)" api_port="$(free_port)"
cd "$work"
openssl genrsa -out sa.key 2048 2>/dev/null
echo 'secret,admin,admin,"system:masters"' >tokens.csv
"$assets/etcd" --data-dir "$work/etcd" --unsafe-no-fsync --listen-client-urls "http://127.0.0.1:$etcd_port" \
    --advertise-client-urls "http://127.0.0.1:$etcd_port" --listen-peer-urls "http://127.0.0.1:$peer_port" >etcd.log 2>&1 &
pids+=($!)
"$assets/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd_port" --bind-address=127.0.0.1 --secure-port="$api_port" \
    --cert-dir="$work/certs" --token-auth-file="$work/tokens.csv" --authorization-mode=RBAC --service-cluster-ip-range=10.0.0.0/16 \
    --service-account-issuer=https://bench.test --service-account-signing-key-file=sa.key --service-account-key-file=sa.key \
    --disable-admission-plugins=ServiceAccount >api.log 2>&1 &
pids+=($!)
cat >kubeconfig <<END
apiVersion: v1
kind: Config
current-context: bench
clusters: [{ name: bench, cluster: { server: "https://127.0.0.1:$api_port", insecure-skip-tls-verify: true } }]
users: [{ name: bench, user: { token: secret } }]
contexts: [{ name: bench, context: { cluster: bench, user: bench, namespace: default } }]
END
export KUBECONFIG="$work/kubeconfig" NO_COLOR=1
for _ in $(seq 300); do
    kubectl get --raw /readyz >/dev/null 2>&1 && break
    sleep 0.2
done
kubectl get --raw /readyz >/dev/null || { echo "the API server did not come up:" >&2; tail -5 api.log >&2; exit 1; }

# The same objects for both: a file for kubectl, and the very file for Gantry.
write_objects() { # NAMESPACE COUNT FILE
    python3 - "$@" <<'END'
import json, sys
namespace, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def made(i):
    kind, at, labels = i % 6, f"o{i}", {"app": f"o{i}", "part": "bench"}
    meta = {"name": at, "namespace": namespace, "labels": labels}
    select = {"matchLabels": {"app": at}}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "shop:1", "ports": [{"containerPort": 8080}],
        "env": [{"name": f"V{n}", "value": str(n)} for n in range(8)], "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {f"k{n}": "v" * 40 for n in range(10)}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {f"k{n}": "c2VjcmV0" for n in range(4)}},
        # Without replicas, so that nothing waits for controllers that are not there.
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": {"app": at}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": 0, "selector": select, "template": pod}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": {"podSelector": select, "policyTypes": ["Ingress"]}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta,
         "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]},
    ][kind]
with open(path, "w") as out:
    out.write("---\n" + "\n---\n".join(json.dumps(made(i)) for i in range(count)) + "\n")
END
}
write_project() { # NAME: the objects are in objects.yaml beside it
    mkdir -p "environments/$1"
    cat >"environments/$1/main.hcl" <<'END'
locals {
  objects = manifest_decode_multi(file("${path.root}/objects.yaml"))
}
resource "kubernetes_manifest" "all" {
  for_each = { for one in local.objects : "${one.kind}/${one.metadata.name}" => one }
  manifest = each.value
  wait {
    rollout = false # no controller runs here, for neither of the two
  }
}
END
}

# Prints the milliseconds that a command takes; a difference (exit code 1 or 2 where it means that) is no failure.
timed() {
    local start end
    start="$(date +%s%N)"
    "$@" >out.txt 2>err.txt || { cat err.txt >&2; tail -5 out.txt >&2; echo "failed: $*" >&2; exit 1; }
    end="$(date +%s%N)"
    echo $(((end - start) / 1000000))
}
median() { sort -n | awk '{ all[NR] = $1 } END { print (NR % 2) ? all[(NR + 1) / 2] : int((all[NR / 2] + all[NR / 2 + 1]) / 2) }'; }

echo "standing: $objects objects" >&2
kubectl create namespace standing >/dev/null
write_project standing
write_objects standing "$objects" environments/standing/objects.yaml
"$gantry" apply standing --auto-approve >out.txt 2>err.txt || { tail -20 out.txt err.txt >&2; exit 1; }
# kubectl's diff compares with what its own apply would make: it gets the same objects as its own.
kubectl apply --server-side --force-conflicts -f environments/standing/objects.yaml >/dev/null

# Without --server-side, kubectl compares with what a client-side apply would make: minutes, so it is measured once.
echo "kubectl diff, once" >&2
timed_diff() { kubectl diff -f environments/standing/objects.yaml || [[ $? -eq 1 ]]; }
timed timed_diff >plain

: >plan; : >drift; : >diff; : >gantry-apply; : >kubectl-apply
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    timed "$gantry" plan standing --detailed-exitcode >>plan
    timed kubectl diff --server-side -f environments/standing/objects.yaml >>diff
    timed "$gantry" drift standing >>drift
    for who in gantry kubectl; do
        kubectl create namespace "new-$who-$round" >/dev/null
        name="new$who$round"
        write_project "$name"
        write_objects "new-$who-$round" "$applied" "environments/$name/objects.yaml"
        case "$who" in
            gantry) timed "$gantry" apply "$name" --auto-approve >>gantry-apply ;;
            kubectl) timed kubectl apply --server-side -f "environments/$name/objects.yaml" >>kubectl-apply ;;
        esac
    done
done

row() { # WHAT OURS THEIRS
    local ours theirs
    ours="$(median <"$2")" theirs="$(median <"$3")"
    awk -v what="$1" -v ours="$ours" -v theirs="$theirs" \
        'BEGIN { printf "| %s | %.2f s | %.2f s | %.1f |\n", what, ours / 1000, theirs / 1000, theirs / ours }'
}
echo "| what | gantry | kubectl | kubectl / gantry |"
echo "| --- | --- | --- | --- |"
row "\`plan\` of $objects objects against \`diff\` (once)" plan plain
row "\`drift\` of $objects objects against \`diff\` (once)" drift plain
row "\`plan\` of $objects objects against \`diff --server-side\`" plan diff
row "\`drift\` of $objects objects against \`diff --server-side\`" drift diff
row "\`apply\` of $applied objects against \`apply --server-side\`" gantry-apply kubectl-apply
echo
echo "Medians of $rounds rounds; $(kubectl version 2>/dev/null | tr '\n' ' ')on $(nproc) cores."
