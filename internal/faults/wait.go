package main

import (
	"context"
	"fmt"
	"time"
)

// await waits until a condition holds, and returns an error where that takes too long or the condition fails.
func await(ctx context.Context, within time.Duration, what string, condition func() (bool, error)) error {
	deadline := time.Now().Add(within)
	for {
		ok, err := condition()
		switch {
		case err != nil:
			return err
		case ok:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("waited %s in vain until %s", within, what)
		}
		pause(ctx, 10*time.Millisecond)
	}
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
