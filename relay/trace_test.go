package relay

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" // The example of W3C Trace Context.

func TestTraceparent(t *testing.T) {
	for stored, sent := range map[string]string{
		trace:                   trace,
		"":                      "",
		"00-abc":                "",
		trace + "\r\nx-evil: 1": "",
		trace + "\n":            "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01": "",
		"cc" + trace[2:] + "-what-comes-later":                    "cc" + trace[2:] + "-what-comes-later",
	} {
		require.Equal(t, sent, traceparent(stored), "%q", stored)
	}
}

func TestSendTraced(t *testing.T) {
	r := receiver.New(t, nil)
	client, target := loopbackClient(t, SenderOptions{}), loopbackTarget(t, r.URL())
	require.Equal(t, 200, client.SendTraced(t.Context(), target, senderEventID, trace, []byte(`{}`)).Code)
	require.Equal(t, 200, client.Send(t.Context(), target, senderEventID, []byte(`{}`)).Code)
	own := *target
	own.Header = map[string][]string{"Traceparent": {"its own"}}
	require.Equal(t, 200, client.SendTraced(t.Context(), &own, senderEventID, trace, []byte(`{}`)).Code)

	requests := r.Requests()
	require.Equal(t, []string{trace}, requests[0].Header.Values("traceparent"))
	require.Empty(t, requests[1].Header.Values("traceparent"))
	require.Equal(t, []string{"its own"}, requests[2].Header.Values("traceparent"))
}
