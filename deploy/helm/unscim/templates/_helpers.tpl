{{- define "unscim.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "unscim.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "unscim.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "unscim.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "unscim.selector" -}}
app.kubernetes.io/name: {{ include "unscim.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "unscim.labels" -}}
{{ include "unscim.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "unscim.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "unscim.scheme" -}}
{{ if .Values.tls.secretName }}https{{ else }}http{{ end }}
{{- end }}

{{/* The pod of `helm test`: neither the service nor the policy of the daemon may take it for the daemon. */}}
{{- define "unscim.testSelector" -}}
app.kubernetes.io/name: {{ include "unscim.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "unscim.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where pods may be, and how they find names. */}}
{{- define "unscim.placement" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "dnsConfig" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- end }}

{{- define "unscim.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "unscim.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: needed where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "unscim.configMapName" -}}
{{- default (printf "%s-config" (include "unscim.fullname" .)) .Values.existingConfigMap }}
{{- end }}

{{/* The cluster puts the namespace in: there is none yet where this is rendered for kubectl. */}}
{{- define "unscim.hosts" -}}
{{- $name := include "unscim.fullname" . }}
{{- $inner := printf "%s.$(NAMESPACE)" $name }}
{{- concat (list $name $inner (printf "%s.svc" $inner) (printf "%s.svc.cluster.local" $inner)) .Values.allowedHosts | join "," }}
{{- end }}

{{- define "unscim.claimName" -}}
{{- default (printf "%s-data" (include "unscim.fullname" .)) .Values.persistence.existingClaim }}
{{- end }}

{{/* A peer of a network policy: pods by the labels of their namespace and their own. */}}
{{- define "unscim.peer" -}}
- namespaceSelector:
    {{- with .namespaceLabels }}
    matchLabels:
      {{- toYaml . | nindent 6 }}
    {{- else }} {}
    {{- end }}
  {{- with .podLabels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end }}
