{{/* The pods: what the Deployment, the StatefulSet and the CronJobs share. */}}

{{- define "crateport.env" -}}
- name: CRATEPORT_CONFIG
  value: /etc/crateport/config/crateport.toml
{{- if .Values.caBundle.replaceSystem }}
- name: SSL_CERT_FILE
  value: /etc/crateport/ca/ca.crt
{{- end }}
{{- with include "crateport.secretEnv" . | trim }}
{{ . }}
{{- end }}
{{- with .Values.extraEnv }}
{{ include "crateport.tpl" (dict "root" $ "value" .) }}
{{- end }}
{{- end }}

{{/* Whether replicas follow each other's fills. */}}
{{- define "crateport.readsAlong" -}}
{{- if and (include "crateport.isFleet" .) .Values.redis.url }}true{{ end -}}
{{- end }}

{{- define "crateport.volumeMounts" -}}
- name: config
  mountPath: /etc/crateport/config
  readOnly: true
{{- if include "crateport.isFleet" . }}
- name: spool
  mountPath: /var/cache/crateport
{{- else }}
- name: data
  mountPath: /var/lib/crateport
{{- end }}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: /etc/crateport/tls
  readOnly: true
{{- end }}
{{- if include "crateport.hasCaBundle" . }}
- name: ca
  mountPath: /etc/crateport/ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "crateport.claimName" -}}
{{- default (printf "data-%s-0" (include "crateport.fullname" .)) .Values.persistence.existingClaim -}}
{{- end }}

{{/* (dict "root" $ "for" "server" | "job"): a job has no claims of its own, so it names that of the pod that serves. */}}
{{- define "crateport.volumes" -}}
{{- $values := .root.Values -}}
- name: config
  configMap:
    name: {{ include "crateport.fullname" .root }}
{{- if include "crateport.isFleet" .root }}
- name: spool
  {{- if and $values.spool.storageClass (eq .for "server") }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ $values.spool.storageClass }}
        resources:
          requests:
            storage: {{ $values.spool.size }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $values.spool.size }}
  {{- end }}
{{- else if not $values.persistence.enabled }}
- name: data
  emptyDir:
    sizeLimit: {{ $values.persistence.size }}
{{- else if or $values.persistence.existingClaim (eq .for "job") }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "crateport.claimName" .root }}
{{- end }}
{{- if $values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ $values.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if include "crateport.hasCaBundle" .root }}
- name: ca
  {{- if $values.caBundle.existingConfigMap }}
  configMap:
    name: {{ $values.caBundle.existingConfigMap }}
  {{- else }}
  secret:
    secretName: {{ $values.caBundle.existingSecret }}
    defaultMode: 0440
  {{- end }}
    items:
      - {key: {{ $values.caBundle.key | quote }}, path: ca.crt}
{{- end }}
{{- with $values.extraVolumes }}
{{ include "crateport.tpl" (dict "root" $.root "value" .) }}
{{- end }}
{{- end }}

{{/* The parts of a pod's spec that no mode changes. */}}
{{- define "crateport.podBase" -}}
serviceAccountName: {{ include "crateport.serviceAccountName" . }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
enableServiceLinks: false
{{- if not .Values.hostUsers }}
hostUsers: false
{{- end }}
{{- include "crateport.imagePullSecrets" . }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- range $field := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with index $.Values $field }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- range $field := list "dnsConfig" "hostAliases" "nodeSelector" "tolerations" }}
{{- with index $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "crateport.spread" -}}
{{- if .Values.topologySpreadConstraints -}}
{{ include "crateport.tpl" (dict "root" . "value" .Values.topologySpreadConstraints) }}
{{- else if include "crateport.autoFleet" (dict "root" . "value" .Values.topologySpread.enabled) -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "crateport.selectorLabels" (dict "root" $ "component" "server") | nindent 6 }}
  {{- if include "crateport.isFleet" $ }}
  matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The template of a pod that serves. */}}
{{- define "crateport.servingPod" -}}
metadata:
  labels:
    {{- include "crateport.labels" (dict "root" . "component" "server" "labels" .Values.podLabels) | nindent 4 }}
  annotations:
    {{- $checksums := dict "checksum/config" (include "crateport.config" . | sha256sum) }}
    {{- with include "crateport.secretData" . }}{{ $_ := set $checksums "checksum/secret" (sha256sum .) }}{{ end }}
    {{- toYaml (mergeOverwrite (dict) .Values.commonAnnotations $checksums .Values.podAnnotations) | nindent 4 }}
spec:
  {{- include "crateport.podBase" . | nindent 2 }}
  {{- if eq (toString .Values.terminationGracePeriodSeconds) "auto" }}
  terminationGracePeriodSeconds: {{ include "crateport.endSeconds" . }}
  {{- else }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- include "crateport.tpl" (dict "root" $ "value" .) | nindent 4 }}
  {{- end }}
  {{- with include "crateport.spread" . | trim }}
  topologySpreadConstraints:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- include "crateport.tpl" (dict "root" $ "value" .) | nindent 4 }}
  {{- end }}
  containers:
    - name: crateport
      image: {{ include "crateport.image" (dict "root" . "image" .Values.image) }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- toYaml (prepend .Values.extraArgs "serve") | nindent 8 }}
      env:
        {{- if include "crateport.readsAlong" . }}
        # Where the other replicas ask for what this one is fetching.
        - name: CRATEPORT_ADVERTISE_ADDRESS
          valueFrom: {fieldRef: {fieldPath: status.podIP}}
        {{- end }}
        {{- include "crateport.env" . | nindent 8 }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: 8080, protocol: TCP}
        {{- if .Values.tls.enabled }}
        - {name: https, containerPort: 8443, protocol: TCP}
        {{- end }}
        - {name: ops, containerPort: 8081, protocol: TCP}
      {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
      {{- with index $.Values $probe }}
      {{ $probe }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        {{- include "crateport.volumeMounts" . | nindent 8 }}
    {{- with .Values.extraContainers }}
    {{- include "crateport.tpl" (dict "root" $ "value" .) | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "crateport.volumes" (dict "root" . "for" "server") | nindent 4 }}
{{- end }}

{{/* A CronJob: (dict "root" $ "component" "sweep" "schedule" text "args" list) */}}
{{- define "crateport.cronJob" -}}
{{- $root := .root -}}
{{- $jobs := .root.Values.jobs -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  {{- include "crateport.metadata" (dict "root" .root "component" .component "suffix" (printf "-%s" .component)) | nindent 2 }}
spec:
  schedule: {{ .schedule | quote }}
  timeZone: {{ $jobs.timeZone }}
  suspend: {{ $jobs.suspend }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {{ $jobs.startingDeadlineSeconds }}
  successfulJobsHistoryLimit: {{ $jobs.successfulJobsHistoryLimit }}
  failedJobsHistoryLimit: {{ $jobs.failedJobsHistoryLimit }}
  jobTemplate:
    spec:
      backoffLimit: {{ $jobs.backoffLimit }}
      activeDeadlineSeconds: {{ $jobs.activeDeadlineSeconds }}
      template:
        metadata:
          labels:
            {{- include "crateport.labels" (dict "root" .root "component" .component "labels" .root.Values.podLabels) | nindent 12 }}
          {{- with mergeOverwrite (dict) .root.Values.commonAnnotations .root.Values.podAnnotations }}
          annotations:
            {{- toYaml . | nindent 12 }}
          {{- end }}
        spec:
          restartPolicy: Never
          {{- include "crateport.podBase" .root | nindent 10 }}
          {{- if not (include "crateport.isFleet" .root) }}
          # The volume is on the node of the pod that serves.
          affinity:
            podAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
                - topologyKey: kubernetes.io/hostname
                  labelSelector:
                    matchLabels:
                      {{- include "crateport.selectorLabels" (dict "root" .root "component" "server") | nindent 22 }}
          {{- else if .root.Values.affinity }}
          affinity:
            {{- include "crateport.tpl" (dict "root" .root "value" .root.Values.affinity) | nindent 12 }}
          {{- end }}
          containers:
            - name: crateport
              image: {{ include "crateport.image" (dict "root" .root "image" .root.Values.image) }}
              imagePullPolicy: {{ .root.Values.image.pullPolicy }}
              args:
                {{- toYaml .args | nindent 16 }}
              env:
                {{- include "crateport.env" .root | nindent 16 }}
              {{- with .root.Values.extraEnvFrom }}
              envFrom:
                {{- toYaml . | nindent 16 }}
              {{- end }}
              securityContext:
                {{- toYaml .root.Values.securityContext | nindent 16 }}
              resources:
                {{- toYaml $jobs.resources | nindent 16 }}
              volumeMounts:
                {{- include "crateport.volumeMounts" .root | nindent 16 }}
          volumes:
            {{- include "crateport.volumes" (dict "root" .root "for" "job") | nindent 12 }}
{{- end }}
