{{/* Names and labels. */}}

{{- define "crateport.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 45 | trimSuffix "-" -}}
{{- end }}

{{/* At most 45 letters: a CronJob with a suffix may have 52. */}}
{{- define "crateport.fullname" -}}
{{- $name := include "crateport.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "crateport.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{- define "crateport.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "crateport.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* What pods are selected by: (dict "root" $ "component" "server"). Immutable, so nothing else may enter. */}}
{{- define "crateport.selectorLabels" -}}
app.kubernetes.io/name: {{ include "crateport.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* (dict "root" $ "component" "server" "labels" map) */}}
{{- define "crateport.labels" -}}
{{- $own := include "crateport.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "crateport" -}}
{{- mergeOverwrite (dict) .root.Values.commonLabels (.labels | default dict) $own | toYaml -}}
{{- end }}

{{/* The metadata of an object: (dict "root" $ "component" … "suffix" "-ops" "labels" map "annotations" map "namespace" text) */}}
{{- define "crateport.metadata" -}}
name: {{ include "crateport.fullname" .root }}{{ .suffix }}
namespace: {{ .namespace | default (include "crateport.namespace" .root) }}
labels:
  {{- include "crateport.labels" . | nindent 2 }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An image's reference: (dict "root" $ "image" map) */}}
{{- define "crateport.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- $name := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end }}

{{- define "crateport.imagePullSecrets" -}}
{{- with concat .Values.imagePullSecrets .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Text that may be a template, or a structure with such texts: (dict "root" $ "value" any) */}}
{{- define "crateport.tpl" -}}
{{- if kindIs "string" .value -}}
{{- tpl .value .root -}}
{{- else -}}
{{- tpl (toYaml .value) .root -}}
{{- end -}}
{{- end }}
