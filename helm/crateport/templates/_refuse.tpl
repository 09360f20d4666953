{{/* Values that are right alone and wrong together: one sentence each. */}}

{{- define "crateport.refuse" -}}
{{- $v := .Values -}}
{{- $isFleet := eq $v.mode "fleet" -}}
{{- $isScaled := include "crateport.isScaled" . -}}
{{- $replicas := int (include "crateport.replicas" .) -}}
{{- $keys := $v.s3.credentials -}}

{{- if not $isFleet -}}
{{- if $isScaled }}{{ fail "mode embedded cannot scale, because its files are in one volume: use mode fleet, or turn autoscaling and keda off" }}{{ end -}}
{{- if gt $replicas 1 }}{{ fail (printf "replicaCount is %d, but mode embedded keeps its files in one volume: use mode fleet" $replicas) }}{{ end -}}
{{- if $v.s3.bucket }}{{ fail "s3.bucket is set, but mode embedded keeps its files in a volume: use mode fleet" }}{{ end -}}
{{- if $v.redis.url }}{{ fail "redis.url is set, but mode embedded has one replica that needs none: use mode fleet" }}{{ end -}}
{{- if eq (toString (index $v.settings "delivery")) "redirect" }}{{ fail "settings.delivery is redirect, but clients cannot reach the volume of mode embedded: use auto or stream, or mode fleet" }}{{ end -}}
{{- if and $v.persistence.existingClaim (not $v.persistence.enabled) }}{{ fail "persistence.existingClaim is set and persistence.enabled is false: keep one" }}{{ end -}}
{{- if or $v.sweep.enabled $v.verify.enabled -}}
{{- if not $v.persistence.enabled }}{{ fail "sweep and verify cannot reach the files of mode embedded without persistence.enabled" }}{{ end -}}
{{- if has "ReadWriteOncePod" $v.persistence.accessModes }}{{ fail "sweep and verify cannot mount a volume that is ReadWriteOncePod: use ReadWriteOnce, or settings.sweep-every" }}{{ end -}}
{{- end -}}
{{- else -}}
{{- if not $v.s3.bucket }}{{ fail "mode fleet needs s3.bucket, because replicas keep nothing themselves" }}{{ end -}}
{{- if and (not $v.redis.url) (or $isScaled (gt $replicas 1)) }}{{ fail "mode fleet with more than one replica needs redis.url, without which each replica fetches for itself" }}{{ end -}}
{{- end -}}

{{- if and $v.autoscaling.enabled $v.keda.enabled }}{{ fail "autoscaling.enabled and keda.enabled exclude each other: two autoscalers would fight over one Deployment" }}{{ end -}}
{{- range $name := list "autoscaling" "keda" -}}
{{- with index $v $name }}{{ if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}{{ fail (printf "%s.minReplicas is more than %s.maxReplicas" $name $name) }}{{ end }}{{ end -}}
{{- end -}}
{{- with $v.autoscaling }}{{ if and .enabled (not .metrics) (not .targetCPU) (not .targetMemory) }}{{ fail "autoscaling has nothing to go by: set targetCPU, targetMemory or metrics" }}{{ end }}{{ end -}}
{{- with $v.keda }}{{ if and .enabled (not .triggers) (not .prometheusAddress) }}{{ fail "keda has nothing to go by: set keda.prometheusAddress or keda.triggers" }}{{ end }}{{ end -}}

{{- if and $keys.existingSecret (or $keys.accessKeyId $keys.secretAccessKey) }}{{ fail "s3.credentials has an existingSecret and keys: keep one" }}{{ end -}}
{{- if ne (empty $keys.accessKeyId) (empty $keys.secretAccessKey) }}{{ fail "s3.credentials.accessKeyId and s3.credentials.secretAccessKey go together" }}{{ end -}}
{{- if and $v.serviceAccount.roleArn (or $keys.existingSecret $keys.accessKeyId) }}{{ fail "serviceAccount.roleArn and s3.credentials exclude each other: static keys would win over the role" }}{{ end -}}
{{- if and $v.serviceAccount.podIdentity (or $keys.existingSecret $keys.accessKeyId) }}{{ fail "serviceAccount.podIdentity and s3.credentials exclude each other: static keys would win over the role" }}{{ end -}}
{{- if and $v.serviceAccount.roleArn $v.serviceAccount.podIdentity }}{{ fail "serviceAccount.roleArn (IRSA) and serviceAccount.podIdentity exclude each other: IRSA would win" }}{{ end -}}
{{- if and $v.serviceAccount.roleArn (not $v.serviceAccount.create) }}{{ fail "serviceAccount.roleArn needs serviceAccount.create: the chart does not touch a service account that it did not make" }}{{ end -}}
{{- if and $v.serviceAccount.podIdentity (not $v.serviceAccount.name) }}{{ fail "serviceAccount.podIdentity needs serviceAccount.name, which the association names" }}{{ end -}}

{{- if and $v.redis.existingSecret $v.redis.password }}{{ fail "redis has an existingSecret and a password: keep one" }}{{ end -}}
{{- if and (not $v.redis.url) (or $v.redis.existingSecret $v.redis.password $v.redis.username) }}{{ fail "redis has a user or a password and no url" }}{{ end -}}
{{- range $id, $registry := $v.registries -}}
{{- if and (ne $id "crates-io") (not $registry.index) }}{{ fail (printf "registries.%s needs an index" $id) }}{{ end -}}
{{- if or (hasKey $v.dist $id) (eq $id "rustup") }}{{ fail (printf "registries.%s and dist.%s share the first part of their addresses: give one of them another id" $id $id) }}{{ end -}}
{{- end -}}
{{- range $id, $origin := $v.dist -}}
{{- if and (ne $id "rustup") (not $origin.url) }}{{ fail (printf "dist.%s needs a url" $id) }}{{ end -}}
{{- end -}}
{{- range $group := include "crateport.upstreamGroups" . | splitList " " -}}
{{- range $id, $upstream := index $v $group -}}
{{- if gt (len (compact (list $upstream.token $upstream.existingSecret (index $upstream "token-file")))) 1 }}{{ fail (printf "%s.%s has its token in more than one place: keep one of token, existingSecret and token-file" $group $id) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if and $v.caBundle.existingConfigMap $v.caBundle.existingSecret }}{{ fail "caBundle has an existingConfigMap and an existingSecret: keep one" }}{{ end -}}
{{- if and $v.caBundle.replaceSystem (not (include "crateport.hasCaBundle" .)) }}{{ fail "caBundle.replaceSystem needs caBundle.existingConfigMap or caBundle.existingSecret" }}{{ end -}}

{{- if ne (toString $v.terminationGracePeriodSeconds) "auto" -}}
{{- $end := int (include "crateport.endSeconds" .) -}}
{{- if lt (int $v.terminationGracePeriodSeconds) $end }}{{ fail (printf "terminationGracePeriodSeconds is %d, but the drain may take %d s: raise it, or lower drain.timeoutSeconds" (int $v.terminationGracePeriodSeconds) $end) }}{{ end -}}
{{- end -}}

{{- if and $v.tls.enabled (not $v.tls.existingSecret) }}{{ fail "tls.enabled needs tls.existingSecret" }}{{ end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}{{ fail "ingress.enabled needs ingress.hosts" }}{{ end -}}
{{- if and $v.ingress.enabled $v.ingress.tls (not (index $v.settings "public-url")) (not (index $v.settings "trusted-proxies")) }}{{ fail "ingress.tls is set, but pods see plain HTTP and would give clients http addresses: set settings.public-url or settings.trusted-proxies" }}{{ end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}{{ fail "httpRoute.enabled needs httpRoute.parentRefs" }}{{ end -}}
{{- if and (or $v.service.nodePort $v.service.httpsNodePort) (eq $v.service.type "ClusterIP") }}{{ fail "service.nodePort needs service.type NodePort or LoadBalancer" }}{{ end -}}
{{- if and $v.networkPolicy.egressNames (ne $v.networkPolicy.flavor "cilium") }}{{ fail "networkPolicy.egressNames needs networkPolicy.flavor cilium: Kubernetes' own policies know no names" }}{{ end -}}

{{- if include "crateport.autoFleet" (dict "root" . "value" $v.podDisruptionBudget.enabled) -}}
{{- $min := $v.podDisruptionBudget.minAvailable -}}
{{- $max := $v.podDisruptionBudget.maxUnavailable -}}
{{- if eq (toString $min | empty) (toString $max | empty) }}{{ fail "podDisruptionBudget needs one of minAvailable and maxUnavailable" }}{{ end -}}
{{- if and (regexMatch "^[0-9]+$" (toString $min)) (ge (int $min) $replicas) }}{{ fail (printf "podDisruptionBudget.minAvailable is %d of %d replicas, so that no node could ever be drained" (int $min) $replicas) }}{{ end -}}
{{- end -}}

{{- $settingsSweep := or (index $v.settings "sweep-unused-for") (index $v.settings "sweep-max-size") -}}
{{- if and $v.sweep.enabled (not $v.sweep.unusedFor) (not $v.sweep.maxSize) (not $settingsSweep) }}{{ fail "sweep has nothing to go by: set sweep.unusedFor or sweep.maxSize, or settings.sweep-unused-for or settings.sweep-max-size" }}{{ end -}}
{{- if and (index $v.settings "sweep-every") (not $settingsSweep) }}{{ fail "settings.sweep-every has nothing to go by: set settings.sweep-unused-for or settings.sweep-max-size" }}{{ end -}}
{{- if and $v.sweep.enabled (index $v.settings "sweep-every") }}{{ fail "sweep.enabled and settings.sweep-every exclude each other: one sweeper is enough" }}{{ end -}}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled }}{{ fail "metrics.serviceMonitor and metrics.podMonitor exclude each other: every sample would be there twice" }}{{ end -}}
{{- end }}
