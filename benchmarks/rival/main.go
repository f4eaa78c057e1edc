// Rival carries frames between two nodes the way the Go original's gRPC wires do: one unary call a frame.
//
//	rival LISTEN PEER INTERFACE:ID...
//
// LISTEN and PEER are HOST:PORT of this node's and of the other's. Each INTERFACE is a wire's end on this node, ID the
// ifindex of its other end on the peer's node. It says "ready" when it serves and reads, and ends by a signal.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"rival/wirepb"
)

const (
	readSnapLength  = 64 * 1024 * 10
	writeSnapLength = 65365
	ordinaryFrame   = 1518
)

// delivery writes what comes from the peer. Its table is locked for every frame, as there.
type delivery struct {
	wirepb.UnimplementedWireServer
	mu      sync.Mutex
	handles map[int64]*pcap.Handle
}

func (d *delivery) handle(id int64) (*pcap.Handle, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	handle, ok := d.handles[id]
	return handle, ok
}

func (d *delivery) Deliver(_ context.Context, frame *wirepb.Frame) (*wirepb.Delivered, error) {
	handle, ok := d.handle(frame.InterfaceId)
	if !ok {
		return &wirepb.Delivered{Response: false}, fmt.Errorf("no interface %d", frame.InterfaceId)
	}
	if err := handle.WritePacketData(frame.Data); err != nil {
		return &wirepb.Delivered{Response: false}, err
	}
	return &wirepb.Delivered{Response: true}, nil
}

// wire is one end of a link on this node.
type wire struct {
	name   string
	ownID  int64
	peerID int64
}

func parseWire(text string) (wire, error) {
	name, number, _ := strings.Cut(text, ":")
	peerID, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return wire{}, fmt.Errorf("%q: right would be INTERFACE:ID: %w", text, err)
	}
	device, err := net.InterfaceByName(name)
	if err != nil {
		return wire{}, fmt.Errorf("%s: %w", name, err)
	}
	return wire{name, int64(device.Index), peerID}, nil
}

// forward reads the wire's interface for ever, and calls the peer for each frame.
func (w wire) forward(peer string) error {
	source, err := pcap.OpenLive(w.name, readSnapLength, true, pcap.BlockForever)
	if err != nil {
		return err
	}
	if err := source.SetDirection(pcap.DirectionIn); err != nil {
		return err
	}
	connection, err := grpc.Dial(peer, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	go w.pump(gopacket.NewPacketSource(source, source.LinkType()), wirepb.NewWireClient(connection))
	return nil
}

func (w wire) pump(source *gopacket.PacketSource, client wirepb.WireClient) {
	refused, long := 0, 0
	for packet := range source.Packets() {
		frame := packet.Data()
		if len(frame) > ordinaryFrame {
			// The original decodes and logs each of these. Its pods' interfaces have tx off, so that there are none.
			if long++; long == 1 {
				fmt.Fprintf(os.Stderr, "%s: a frame of %d bytes\n", w.name, len(frame))
			}
		}
		answer, err := client.Deliver(context.Background(), &wirepb.Frame{InterfaceId: w.peerID, Data: frame})
		if err != nil || !answer.Response {
			if refused++; refused == 1 {
				fmt.Fprintf(os.Stderr, "%s: not delivered: %v\n", w.name, err)
			}
		}
	}
}

func run(listen, peer string, texts []string) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	incoming := &delivery{handles: map[int64]*pcap.Handle{}}
	for _, text := range texts {
		w, err := parseWire(text)
		if err != nil {
			return err
		}
		if incoming.handles[w.ownID], err = pcap.OpenLive(w.name, writeSnapLength, true, pcap.BlockForever); err != nil {
			return err
		}
		if err := w.forward(peer); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	server := grpc.NewServer()
	wirepb.RegisterWireServer(server, incoming)
	fmt.Println("ready")
	return server.Serve(listener)
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: rival LISTEN PEER INTERFACE:ID...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "rival:", err)
		os.Exit(1)
	}
}
