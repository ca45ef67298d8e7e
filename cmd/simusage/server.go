package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"simusage/load"
)

// listen serves what looks after the schedule, until ctx ends: whether the process lives, whether it could run now, and the
// metrics. stop waits for its end.
func listen(ctx context.Context, address string, store *load.Store, log *slog.Logger) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, misusef("listen for health checks and metrics: %w; SIMUSAGE_LISTEN says where", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "alive\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), measuring)
		defer cancel()
		if err := ready(ctx, store); err != nil {
			http.Error(w, line(err), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry(ctx, store), promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 2 * measuring}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: measuring, ReadTimeout: measuring, WriteTimeout: 3 * measuring, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health checks and metrics are not served any more", "error", err)
		}
	}()
	log.Info("serving /healthz, /readyz and /metrics", "address", listener.Addr().String())
	return func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(bounded) != nil {
			server.Close()
		}
		<-ended
	}, nil
}
