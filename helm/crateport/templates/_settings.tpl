{{/* The configuration file, and what follows from it. */}}

{{- define "crateport.isFleet" -}}
{{- if eq .Values.mode "fleet" }}yes{{ end -}}
{{- end }}

{{- define "crateport.isScaled" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled }}yes{{ end -}}
{{- end }}

{{/* Whether something that is "auto" in mode fleet only is on. */}}
{{- define "crateport.autoFleet" -}}
{{- if or (eq (toString .value) "true") (and (eq (toString .value) "auto") (eq .root.Values.mode "fleet")) }}yes{{ end -}}
{{- end }}

{{/* The fewest replicas there can be. */}}
{{- define "crateport.replicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- .Values.autoscaling.minReplicas -}}
{{- else if .Values.keda.enabled -}}
{{- .Values.keda.minReplicas -}}
{{- else if ne (toString .Values.replicaCount) "auto" -}}
{{- .Values.replicaCount -}}
{{- else -}}
{{- ternary 3 1 (eq .Values.mode "fleet") -}}
{{- end -}}
{{- end }}

{{/* The longest that a process needs to end: its delay, requests, then fills, then the last spans. */}}
{{- define "crateport.endSeconds" -}}
{{- add .Values.drain.delaySeconds (mul 2 .Values.drain.timeoutSeconds) 10 -}}
{{- end }}

{{- define "crateport.canSleep" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}yes{{ end -}}
{{- end }}

{{- define "crateport.address" -}}
{{- if contains ":" .host }}[{{ .host }}]:{{ .port }}{{ else }}{{ .host }}:{{ .port }}{{ end -}}
{{- end }}

{{/* A TOML value. JSON's texts are TOML's too; numbers come as floats from YAML and are whole. */}}
{{- define "crateport.toml" -}}
{{- if kindIs "string" . -}}
{{- toJson . -}}
{{- else if kindIs "bool" . -}}
{{- . -}}
{{- else if kindIs "slice" . -}}
[{{- range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "crateport.toml" $item }}{{ end -}}]
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end }}

{{/* The lines of one table of the file. */}}
{{- define "crateport.tomlTable" -}}
{{- range $key, $value := . }}
{{ $key }} = {{ include "crateport.toml" $value }}
{{- end }}
{{- end }}

{{- define "crateport.config" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $listen := list (include "crateport.address" (dict "host" .Values.bindAddress "port" 8080)) -}}
{{- if .Values.tls.enabled -}}
{{- $https := include "crateport.address" (dict "host" .Values.bindAddress "port" 8443) -}}
{{- $listen = append $listen (printf "%s,cert=/etc/crateport/tls/tls.crt,key=/etc/crateport/tls/tls.key" $https) -}}
{{- end -}}
{{- $_ := set $settings "listen" $listen -}}
{{- $_ := set $settings "ops-listen" (include "crateport.address" (dict "host" .Values.bindAddress "port" 8081)) -}}
{{- $_ := set $settings "drain-timeout" (printf "%ds" (int64 .Values.drain.timeoutSeconds)) -}}
{{- if include "crateport.hasCaBundle" . -}}
{{- $_ := set $settings "upstream-ca-files" (list "/etc/crateport/ca/ca.crt") -}}
{{- end -}}
{{- if include "crateport.isFleet" . -}}
{{- $s3 := .Values.s3 -}}
{{- $_ := set $settings "store" (printf "s3://%s%s" $s3.bucket (ternary "" (printf "/%s" (trimAll "/" $s3.prefix)) (empty $s3.prefix))) -}}
{{- $_ := set $settings "spool-dir" "/var/cache/crateport" -}}
{{- range $key, $value := dict "s3-endpoint" $s3.endpoint "s3-public-endpoint" $s3.publicEndpoint "s3-region" $s3.region -}}
{{- if $value }}{{ $_ := set $settings $key $value }}{{ end -}}
{{- end -}}
{{- $_ := set $settings "s3-path-style" $s3.pathStyle -}}
{{- $_ := set $settings "s3-encryption" $s3.encryption -}}
{{- $redis := .Values.redis -}}
{{- $_ := set $settings "coord" (default "local" $redis.url) -}}
{{- range $key, $value := dict "redis-username" $redis.username "redis-prefix" $redis.prefix -}}
{{- if $value }}{{ $_ := set $settings $key $value }}{{ end -}}
{{- end -}}
{{- if and (hasPrefix "rediss" $redis.url) (include "crateport.hasCaBundle" .) -}}
{{- $_ := set $settings "redis-ca-file" "/etc/crateport/ca/ca.crt" -}}
{{- end -}}
{{- else -}}
{{- $_ := set $settings "store" "fs:/var/lib/crateport" -}}
{{- $_ := set $settings "coord" "local" -}}
{{- end -}}
{{- include "crateport.tomlTable" $settings | trim }}
{{- range $id, $registry := .Values.registries }}

[registries.{{ $id }}]
{{- include "crateport.tomlTable" (omit $registry "token" "existingSecret" "existingSecretKey") }}
{{- end }}
{{- range $id, $origin := .Values.dist }}

[dist.{{ $id }}]
{{- include "crateport.tomlTable" $origin }}
{{- end }}
{{- end }}

{{/* The values that the chart has to keep in a Secret of its own, by key. */}}
{{- define "crateport.secretData" -}}
{{- $data := dict -}}
{{- with .Values.s3.credentials }}{{ if .accessKeyId -}}
{{- $_ := set $data "s3-access-key-id" .accessKeyId -}}
{{- $_ := set $data "s3-secret-access-key" .secretAccessKey -}}
{{- end }}{{ end -}}
{{- if .Values.redis.password }}{{ $_ := set $data "redis-password" .Values.redis.password }}{{ end -}}
{{- range $id, $registry := .Values.registries -}}
{{- if $registry.token }}{{ $_ := set $data (printf "registry-%s-token" $id) $registry.token }}{{ end -}}
{{- end -}}
{{- if $data }}{{ toYaml $data }}{{ end -}}
{{- end }}

{{- define "crateport.secretVariable" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
{{ end }}

{{/* The secrets, as variables. */}}
{{- define "crateport.secretEnv" -}}
{{- $own := include "crateport.fullname" . -}}
{{- with .Values.s3.credentials -}}
{{- if .existingSecret -}}
{{- include "crateport.secretVariable" (dict "variable" "AWS_ACCESS_KEY_ID" "name" .existingSecret "key" .accessKeyIdKey) -}}
{{- include "crateport.secretVariable" (dict "variable" "AWS_SECRET_ACCESS_KEY" "name" .existingSecret "key" .secretAccessKeyKey) -}}
{{- else if .accessKeyId -}}
{{- include "crateport.secretVariable" (dict "variable" "AWS_ACCESS_KEY_ID" "name" $own "key" "s3-access-key-id") -}}
{{- include "crateport.secretVariable" (dict "variable" "AWS_SECRET_ACCESS_KEY" "name" $own "key" "s3-secret-access-key") -}}
{{- end -}}
{{- end -}}
{{- with .Values.redis -}}
{{- if .existingSecret -}}
{{- include "crateport.secretVariable" (dict "variable" "CRATEPORT_REDIS_PASSWORD" "name" .existingSecret "key" .existingSecretKey) -}}
{{- else if .password -}}
{{- include "crateport.secretVariable" (dict "variable" "CRATEPORT_REDIS_PASSWORD" "name" $own "key" "redis-password") -}}
{{- end -}}
{{- end -}}
{{- range $id, $registry := .Values.registries -}}
{{- $variable := printf "CRATEPORT_REGISTRIES_%s_TOKEN" ($id | upper | replace "-" "_") -}}
{{- if $registry.existingSecret -}}
{{- include "crateport.secretVariable" (dict "variable" $variable "name" $registry.existingSecret "key" (default "token" $registry.existingSecretKey)) -}}
{{- else if $registry.token -}}
{{- include "crateport.secretVariable" (dict "variable" $variable "name" $own "key" (printf "registry-%s-token" $id)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "crateport.hasCaBundle" -}}
{{- if or .Values.caBundle.existingConfigMap .Values.caBundle.existingSecret }}yes{{ end -}}
{{- end }}

{{/* The port that a URL leads to: (dict "url" text "default" number) */}}
{{- define "crateport.port" -}}
{{- $named := regexFind ":[0-9]+(/|$)" .url | trimPrefix ":" | trimSuffix "/" -}}
{{- if $named }}{{ $named }}{{ else if hasPrefix "https" .url }}443{{ else }}{{ .default }}{{ end -}}
{{- end }}

{{/* The TCP ports that pods go out to, as a JSON list of texts. */}}
{{- define "crateport.egressPorts" -}}
{{- $ports := list "443" -}}
{{- range $id, $registry := .Values.registries -}}
{{- with $registry.index }}{{ $ports = append $ports (include "crateport.port" (dict "url" (trimPrefix "sparse+" .) "default" "80")) }}{{ end -}}
{{- end -}}
{{- with index .Values.settings "otlp-endpoint" }}{{ $ports = append $ports (include "crateport.port" (dict "url" . "default" "80")) }}{{ end -}}
{{- if include "crateport.isFleet" . -}}
{{- with .Values.s3.endpoint }}{{ $ports = append $ports (include "crateport.port" (dict "url" . "default" "80")) }}{{ end -}}
{{- with .Values.redis.url -}}
{{- range regexFindAll ":[0-9]+" . -1 }}{{ $ports = append $ports (trimPrefix ":" .) }}{{ end -}}
{{- $isSentinel := contains "+sentinel" . -}}
{{- if or $isSentinel (not (regexMatch ":[0-9]+" .)) }}{{ $ports = append $ports "6379" }}{{ end -}}
{{- if and $isSentinel (not (regexMatch ":[0-9]+" .)) }}{{ $ports = append $ports "26379" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range .Values.networkPolicy.egressPorts }}{{ $ports = append $ports (toString .) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end }}

{{/* The address that clients use, as far as values tell. */}}
{{- define "crateport.publicUrl" -}}
{{- $url := index .Values.settings "public-url" -}}
{{- if $url -}}
{{- trimSuffix "/" $url -}}
{{- else if and .Values.ingress.enabled .Values.ingress.hosts -}}
{{- printf "%s://%s" (ternary "https" "http" (not (empty .Values.ingress.tls))) (tpl (first .Values.ingress.hosts).host .) -}}
{{- else if and .Values.httpRoute.enabled .Values.httpRoute.hostnames -}}
{{- printf "https://%s" (tpl (first .Values.httpRoute.hostnames) .) -}}
{{- else -}}
{{- include "crateport.serviceUrl" . -}}
{{- end -}}
{{- end }}

{{- define "crateport.serviceUrl" -}}
{{- $port := int .Values.service.port -}}
http://{{ include "crateport.fullname" . }}.{{ include "crateport.namespace" . }}{{ if ne $port 80 }}:{{ $port }}{{ end }}
{{- end }}
