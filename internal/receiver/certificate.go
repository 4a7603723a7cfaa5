package receiver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// Authority signs certificates for TLS receivers.
type Authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes a certificate authority of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t}
	template := certificateTemplate("relay test authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	a.key = newKey(t)
	a.cert = sign(t, template, template, a.key, a.key)
	return a
}

// Pool trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Config is a TLS server with a good certificate for host, a name or an IP address; edit may spoil it.
func (a *Authority) Config(host string, edit func(*x509.Certificate)) *tls.Config {
	a.t.Helper()
	return a.config(host, edit, a.cert, a.key)
}

// SelfSigned is a TLS server with a certificate for host that nobody vouches for.
func (a *Authority) SelfSigned(host string) *tls.Config {
	a.t.Helper()
	return a.config(host, nil, nil, nil)
}

func (a *Authority) config(
	host string, edit func(*x509.Certificate), parent *x509.Certificate, parentKey *ecdsa.PrivateKey,
) *tls.Config {
	a.t.Helper()
	template := certificateTemplate(host)
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if edit != nil {
		edit(template)
	}
	key := newKey(a.t)
	if parent == nil {
		parent, parentKey = template, key
	}
	cert := sign(a.t, template, parent, key, parentKey)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
		NextProtos:   []string{"http/1.1"},
	}
}

func certificateTemplate(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("receiver: make a key: %v", err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatalf("receiver: sign a certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("receiver: read a certificate: %v", err)
	}
	return cert
}
