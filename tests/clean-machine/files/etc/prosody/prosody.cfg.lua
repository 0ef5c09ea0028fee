-- The remote server. It is on the machine of the node, so its port for servers is not 5269.
interfaces = { "192.0.2.20" }
s2s_ports = { 5279 }
c2s_ports = { 5222 }
modules_enabled = { "roster", "saslauth", "tls", "dialback", "disco", "ping", "smacks", "posix" }
modules_disabled = { "http" }
s2s_require_encryption = true
s2s_secure_auth = true
authentication = "internal_hashed"
pidfile = "/run/prosody/prosody.pid"
log = { info = "/var/log/prosody/prosody.log" }
certificates = "certs"
VirtualHost "remote.example"
    ssl = { key = "/etc/prosody/certs/remote.example.key", certificate = "/etc/prosody/certs/remote.example.crt" }
