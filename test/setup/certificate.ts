/**
 * A certificate for a name that no server can have, signed by itself, and its key. Neither is trusted anywhere but in
 * these tests. OpenSSL, from 3.4 on, makes such a pair with:
 *
 *   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=archive.invalid \
 *     -addext subjectAltName=DNS:archive.invalid -not_before 20200101000000Z -not_after 21200101000000Z \
 *     -keyout key.pem -out certificate.pem
 */
export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzSmN5VwFsCJaWLoq
Vmgs1n3cOYIbzDAYZxO8sOy8rM2hRANCAASq9qrcdXqUjVJjTI/Tyhzxcl20/Tyr
iQ1AZSGhI0k/WrpRqcbMZLQCOrWdYog7BN9s8b2kVQ46Pu/GL5JHrtaB
-----END PRIVATE KEY-----
`;

export const certificate = `-----BEGIN CERTIFICATE-----
MIIBhjCCASygAwIBAgIUIrNT52jkdIseVHDTvIpn5GTHgiQwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPYXJjaGl2ZS5pbnZhbGlkMCAXDTIwMDEwMTAwMDAwMFoYDzIx
MjAwMTAxMDAwMDAwWjAaMRgwFgYDVQQDDA9hcmNoaXZlLmludmFsaWQwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAASq9qrcdXqUjVJjTI/Tyhzxcl20/TyriQ1AZSGh
I0k/WrpRqcbMZLQCOrWdYog7BN9s8b2kVQ46Pu/GL5JHrtaBo04wTDAPBgNVHRMB
Af8EBTADAQH/MBoGA1UdEQQTMBGCD2FyY2hpdmUuaW52YWxpZDAdBgNVHQ4EFgQU
dgudEwlc9rZhsrzzQAyM+NU3YgswCgYIKoZIzj0EAwIDSAAwRQIhAJP+FM4ySO7S
VghpuMsgU9jwyS65uB2qYCUMvl912aWtAiB/p2wYodO56wQmC/mrg7lcVeiMYDWT
tKgcPJwvmJ0TRQ==
-----END CERTIFICATE-----
`;
