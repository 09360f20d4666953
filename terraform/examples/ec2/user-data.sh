#!/usr/bin/env bash
# Fetches the binary, checks it, and runs it as a service.
set -euo pipefail

curl -fsSL --retry 5 -o /usr/local/bin/crateport.new '${binary_url}'
echo '${binary_sha256}  /usr/local/bin/crateport.new' | sha256sum -c
install -m 755 /usr/local/bin/crateport.new /usr/local/bin/crateport
rm /usr/local/bin/crateport.new

cat > /etc/crateport.env <<'ENVIRONMENT'
%{ for name, value in environment ~}
${name}=${value}
%{ endfor ~}
ENVIRONMENT

cat > /etc/systemd/system/crateport.service <<'UNIT'
[Unit]
Description=Crateport
Wants=network-online.target
After=network-online.target

[Service]
EnvironmentFile=/etc/crateport.env
Environment=CRATEPORT_SPOOL_DIR=/var/cache/crateport
ExecStart=/usr/local/bin/crateport serve
DynamicUser=yes
CacheDirectory=crateport
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
NoNewPrivileges=yes
LimitNOFILE=65536
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
UNIT

systemctl daemon-reload
systemctl enable --now crateport
