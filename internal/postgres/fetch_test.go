package postgres

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// archive holds stand-ins for the programs of PostgreSQL 17.5, packed as a real archive is.
//
//go:embed testdata/postgres.txz
var archive []byte

// jar is the archive as the repository serves it.
func jar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("postgres-linux-x86_64.txz")
	require.NoError(t, err)
	_, err = f.Write(archive)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// repository serves jar with its checksum, and counts how often it was fetched.
func repository(t *testing.T, jar, checksummed []byte) (address string, fetched *atomic.Int64) {
	t.Helper()
	sum := sha256.Sum256(checksummed)
	fetched = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, string(fetchedVersion)+".jar"):
			fetched.Add(1)
			_, _ = w.Write(jar)
		case strings.HasSuffix(r.URL.Path, ".jar.sha256"):
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return server.URL, fetched
}

// onlyTheBinaries says that the cache holds what was fetched, and nothing left over from fetching.
func onlyTheBinaries(t *testing.T, cache string) {
	t.Helper()
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "postgresql-"+string(fetchedVersion), entries[0].Name())
}

func TestFetchOnceAndKeep(t *testing.T) {
	address, fetched := repository(t, jar(t), jar(t))
	cache := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		dir, err := fetch(t.Context(), address, cache, nil)
		require.NoError(t, err)
		v, err := serverVersion(t.Context(), dir)
		require.NoError(t, err)
		require.Equal(t, version{17, 5}, v)
		require.EqualValues(t, 1, fetched.Load())
		onlyTheBinaries(t, cache)
	}
}

func TestFetchReplacesBrokenBinaries(t *testing.T) {
	address, _ := repository(t, jar(t), jar(t))
	cache := t.TempDir()
	dir, err := fetch(t.Context(), address, cache, nil)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "initdb")))
	again, err := fetch(t.Context(), address, cache, nil)
	require.NoError(t, err)
	require.Equal(t, dir, again)
	_, err = serverVersion(t.Context(), dir)
	require.NoError(t, err)
	onlyTheBinaries(t, cache)
}

func TestFetchBySeveralAtOnce(t *testing.T) {
	address, _ := repository(t, jar(t), jar(t))
	cache := t.TempDir()
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			dir, err := fetch(context.Background(), address, cache, nil)
			if err != nil {
				return err
			}
			_, err = serverVersion(context.Background(), dir)
			return err
		})
	}
	require.NoError(t, group.Wait())
	onlyTheBinaries(t, cache)
}

func TestFetchRefusesWhatFailsTheChecksum(t *testing.T) {
	address, _ := repository(t, jar(t), []byte("something else"))
	cache := t.TempDir()
	_, err := fetch(t.Context(), address, cache, nil)
	require.ErrorContains(t, err, "checksums do not match")
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestFetchEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	cache := t.TempDir()
	_, err := fetch(ctx, server.URL, cache, nil)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	require.Eventually(t, func() bool {
		entries, err := os.ReadDir(cache)
		return err == nil && len(entries) == 0
	}, 30*time.Second, 10*time.Millisecond, "what was unpacked is removed")
}

func TestFindOrFetchSaysWhatToInstall(t *testing.T) {
	nowhere(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	before := fetchRepository
	defer func() { fetchRepository = before }()
	fetchRepository = server.URL
	_, err := FindOrFetch(t.Context(), nil)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, err, "no version found matching "+string(fetchedVersion))
	require.ErrorContains(t, err, "or set RELAY_POSTGRES_BIN to the folder with postgres, initdb and pg_ctl")
}
