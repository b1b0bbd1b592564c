// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/known_flows_source.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "lib/address.h"
#include "lib/decide/prefix.h"
#include "lib/netlink_attributes.h"

namespace synward {
namespace {

struct CloseSocket {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

// States of include/net/tcp_states.h. A listener is no flow; a half-open one may
// be made by a forged SYN; a closed one is none any more.
enum TcpState {
    established = 1,
    syn_sent = 2,
    syn_received = 3,
    closed = 7,
    listening = 10,
    new_syn_received = 12
};
constexpr std::uint32_t flow_states =
    0x1fff & ~1u & ~(1u << syn_received) & ~(1u << closed) & ~(1u << listening) & ~(1u << new_syn_received);

// All that have a peer.
constexpr std::uint32_t peer_states = 0x1fff & ~1u & ~(1u << closed) & ~(1u << listening);

constexpr int dump_attempts = 3;  // a dump that changed meanwhile is read again

struct Reading {
    KnownFlows* flows = nullptr;
    std::size_t count = 0;
    std::vector<FlowTuple>* ended = nullptr;
    std::vector<FlowTuple> listed{};
    const KnownFlowsSource::Take* take = nullptr;  // gets what is listed
};

// Of a socket: the peer is the source of what arrives.
int take_socket(const nlmsghdr* message, void* data) {
    auto& reading = *static_cast<Reading*>(data);
    if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg))
        return MNL_CB_OK;
    inet_diag_msg diag;
    std::memcpy(&diag, mnl_nlmsg_get_payload(message), sizeof diag);
    Address source{SW_IPV4, {}};
    Address destination{SW_IPV4, {}};
    if (diag.idiag_family == AF_INET) {
        std::memcpy(source.bytes.data(), diag.id.idiag_dst, 4);
        std::memcpy(destination.bytes.data(), diag.id.idiag_src, 4);
    } else if (diag.idiag_family == AF_INET6) {
        // A v6 socket may have an IPv4 connection.
        std::uint8_t peer[16];
        std::uint8_t local[16];
        std::memcpy(peer, diag.id.idiag_dst, sizeof peer);
        std::memcpy(local, diag.id.idiag_src, sizeof local);
        source = Address::from_mapped(peer);
        destination = Address::from_mapped(local);
        if (source.family != destination.family) return MNL_CB_OK;
    } else {
        return MNL_CB_OK;
    }
    const FlowTuple tuple{raw_address(source), raw_address(destination), ntohs(diag.id.idiag_dport),
                          ntohs(diag.id.idiag_sport), source.family};
    if (reading.take)
        reading.listed.push_back(tuple);
    else
        reading.flows->add(tuple);
    reading.count++;
    return MNL_CB_OK;
}

// False for what is not TCP, or not whole.
bool read_tuple(const nlattr* attribute, FlowTuple& tuple) {
    const auto parts = nested<CTA_TUPLE_MAX>(attribute);
    const auto ip = nested<CTA_IP_MAX>(parts.of[CTA_TUPLE_IP]);
    const auto protocol = nested<CTA_PROTO_MAX>(parts.of[CTA_TUPLE_PROTO]);
    if (protocol.number<std::uint8_t>(CTA_PROTO_NUM) != IPPROTO_TCP) return false;
    const void* source = ip.bytes(CTA_IP_V4_SRC, 4);
    const void* destination = ip.bytes(CTA_IP_V4_DST, 4);
    std::size_t length = 4;
    tuple.family = SW_IPV4;
    if (!source || !destination) {
        source = ip.bytes(CTA_IP_V6_SRC, 16);
        destination = ip.bytes(CTA_IP_V6_DST, 16);
        length = 16;
        tuple.family = SW_IPV6;
    }
    if (!source || !destination) return false;
    std::memcpy(tuple.source.data(), source, length);
    std::memcpy(tuple.destination.data(), destination, length);
    tuple.source_port = ntohs(protocol.number<std::uint16_t>(CTA_PROTO_SRC_PORT));
    tuple.destination_port = ntohs(protocol.number<std::uint16_t>(CTA_PROTO_DST_PORT));
    return true;
}

// Both directions: either may be the one in which its packets come in.
int take_both(const nlmsghdr* message, std::vector<FlowTuple>& tuples) {
    Attributes<CTA_MAX> top;
    mnl_attr_parse(message, sizeof(nfgenmsg), Attributes<CTA_MAX>::take, &top);
    for (const int direction : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY}) {
        FlowTuple tuple;
        if (read_tuple(top.of[static_cast<std::size_t>(direction)], tuple)) tuples.push_back(tuple);
    }
    return MNL_CB_OK;
}

int list_entry(const nlmsghdr* message, void* data) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) return MNL_CB_OK;
    return take_both(message, static_cast<Reading*>(data)->listed);
}

// Both directions of a connection that both ends have spoken for (ASSURED):
// neither a forged SYN nor, with nf_conntrack_tcp_loose, a forged ACK makes one.
int take_entry(const nlmsghdr* message, void* data) {
    auto& reading = *static_cast<Reading*>(data);
    if (mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) return MNL_CB_OK;
    if (message->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE) && reading.ended)
        return take_both(message, *reading.ended);
    if (message->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) || !reading.flows)
        return MNL_CB_OK;
    Attributes<CTA_MAX> top;
    mnl_attr_parse(message, sizeof(nfgenmsg), Attributes<CTA_MAX>::take, &top);
    if (!(ntohl(top.number<std::uint32_t>(CTA_STATUS)) & IPS_ASSURED)) return MNL_CB_OK;
    const auto info = nested<CTA_PROTOINFO_MAX>(top.of[CTA_PROTOINFO]);
    const auto tcp = nested<CTA_PROTOINFO_TCP_MAX>(info.of[CTA_PROTOINFO_TCP]);
    if (tcp.number<std::uint8_t>(CTA_PROTOINFO_TCP_STATE) == TCP_CONNTRACK_CLOSE) return MNL_CB_OK;
    FlowTuple original;
    FlowTuple reply;
    if (!read_tuple(top.of[CTA_TUPLE_ORIG], original) || !read_tuple(top.of[CTA_TUPLE_REPLY], reply))
        return MNL_CB_OK;
    reading.flows->add(original);
    reading.flows->add(reply);
    reading.count++;
    return MNL_CB_OK;
}

Result<Socket> open_socket(int bus, unsigned groups) {
    Socket socket(mnl_socket_open2(bus, SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0)));
    if (!socket || mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) < 0)
        return fail_errno(errno, "cannot open a netlink socket to read the kernel's connections");
    return socket;
}

}  // namespace

struct KnownFlowsSource::Impl {
    Options options;
    Socket reports;
    std::vector<char> buffer = std::vector<char>(65536);
    std::uint32_t sequence = 0;

    // errno of the kernel's answer, 0 for success. A socket for each dump, so that
    // one that was given up leaves nothing behind.
    int dump(int bus, nlmsghdr* request, mnl_cb_t callback, Reading& reading) {
        const auto opened = open_socket(bus, 0);
        if (!opened) return errno;
        mnl_socket* socket = opened->get();
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request->nlmsg_seq = ++sequence;
        if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) return errno;
        for (int state = MNL_CB_OK; state > MNL_CB_STOP;) {
            const ssize_t length = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
            if (length < 0 && errno == EINTR) continue;
            if (length < 0) return errno;
            state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), sequence,
                               mnl_socket_get_portid(socket), callback, &reading);
            if (state < 0) return errno;
            if (reading.take && !reading.listed.empty()) (*reading.take)(reading.listed);
            reading.listed.clear();
        }
        return 0;
    }

    int dump_sockets(std::uint8_t family, Reading& reading) {
        std::array<char, 256> space;
        nlmsghdr* request = mnl_nlmsg_put_header(space.data());
        request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        auto* wanted =
            static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
        wanted->sdiag_family = family;
        wanted->sdiag_protocol = IPPROTO_TCP;
        wanted->idiag_states = reading.take ? peer_states : flow_states;
        return dump(NETLINK_SOCK_DIAG, request, take_socket, reading);
    }

    int dump_conntrack(std::uint8_t family, Reading& reading) {
        std::array<char, 256> space;
        nlmsghdr* request = mnl_nlmsg_put_header(space.data());
        request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
        auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
        header->nfgen_family = family;
        header->version = NFNETLINK_V0;
        return dump(NETLINK_NETFILTER, request, reading.take ? list_entry : take_entry, reading);
    }

    Result<std::size_t> read_sockets(Reading& reading) {
        for (const std::uint8_t family : {AF_INET, AF_INET6}) {
            const int error = again([&] { return dump_sockets(family, reading); }, reading);
            // A kernel without IPv6 knows no such sockets.
            if (error && !(family == AF_INET6 && error == ENOENT))
                return fail_errno(error, "cannot list the kernel's TCP sockets");
        }
        return reading.count;
    }

    // Nothing: the kernel tracks no connections.
    Result<std::optional<std::size_t>> read_conntrack(Reading& reading) {
        int error = 0;
        for (const std::uint8_t family : {AF_INET, AF_INET6})
            if (!error) error = again([&] { return dump_conntrack(family, reading); }, reading);
        // nfnetlink has no such subsystem.
        if (error == EINVAL || error == EOPNOTSUPP || error == EPROTONOSUPPORT || error == ENOENT)
            return std::optional<std::size_t>();
        if (error) return fail_errno(error, "cannot list the kernel's conntrack entries");
        return std::optional(reading.count);
    }

    // A dump that the kernel changed under the reader says EINTR: it may lack entries.
    template <typename Dump>
    int again(Dump&& once, Reading& reading) {
        int error = EINTR;
        const std::size_t before = reading.count;
        for (int i = 0; i < dump_attempts && error == EINTR; i++) {
            reading.count = before;
            error = once();
        }
        return error;
    }
};

KnownFlowsSource::KnownFlowsSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KnownFlowsSource::KnownFlowsSource(KnownFlowsSource&&) noexcept = default;
KnownFlowsSource& KnownFlowsSource::operator=(KnownFlowsSource&&) noexcept = default;
KnownFlowsSource::~KnownFlowsSource() = default;

Result<KnownFlowsSource> KnownFlowsSource::create(const Options& options) {
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    if (options.conntrack || options.ended) {
        // Updates only: a connection counts once it is ASSURED, never when it is new.
        const unsigned groups = (options.conntrack ? NF_NETLINK_CONNTRACK_UPDATE : 0) |
                                (options.ended ? NF_NETLINK_CONNTRACK_DESTROY : 0);
        if (auto reports = open_socket(NETLINK_NETFILTER, groups)) {
            impl->reports = std::move(*reports);
            const int bytes = options.receive_buffer;
            if (bytes && setsockopt(mnl_socket_get_fd(impl->reports.get()), SOL_SOCKET, SO_RCVBUF, &bytes,
                                    sizeof bytes))
                return fail_errno(errno, "cannot give the socket of conntrack's reports its size");
        } else if (reports.error().code != ErrorCode::privilege || !options.sockets) {
            return tl::unexpected(reports.error());
        } else {
            impl->options.conntrack = impl->options.ended = false;
        }
    }
    return KnownFlowsSource(std::move(impl));
}

Result<KnownFlowsSource::Counts> KnownFlowsSource::refresh(KnownFlows& flows, std::uint64_t now) {
    Counts counts;
    flows.begin();
    if (impl_->options.sockets) {
        Reading reading{&flows};
        const auto count = impl_->read_sockets(reading);
        if (!count) return tl::unexpected(count.error());
        counts.sockets = *count;
    }
    if (impl_->options.conntrack) {
        Reading reading{&flows};
        const auto count = impl_->read_conntrack(reading);
        if (!count) return tl::unexpected(count.error());
        if (!*count && !impl_->options.sockets)
            return fail(ErrorCode::unsupported,
                        "the kernel has no conntrack to read connections from: load nf_conntrack_netlink");
        counts.conntrack = count->value_or(0);
        counts.conntrack_there = count->has_value();
    }
    flows.finish(now);
    return counts;
}

Result<void> KnownFlowsSource::list(const Take& take) {
    Reading reading;
    reading.take = &take;
    if (const auto count = impl_->read_sockets(reading); !count) return tl::unexpected(count.error());
    if (const auto count = impl_->read_conntrack(reading); !count) return tl::unexpected(count.error());
    return {};
}

int KnownFlowsSource::fd() const {
    return impl_->reports ? mnl_socket_get_fd(impl_->reports.get()) : -1;
}

Result<KnownFlowsSource::Reported> KnownFlowsSource::consume(KnownFlows& flows,
                                                             std::vector<FlowTuple>* ended) {
    return consume(&flows, ended);
}

Result<KnownFlowsSource::Reported> KnownFlowsSource::consume(std::vector<FlowTuple>& ended) {
    return consume(nullptr, &ended);
}

Result<KnownFlowsSource::Reported> KnownFlowsSource::consume(KnownFlows* flows,
                                                             std::vector<FlowTuple>* ended) {
    Reported reported;
    if (!impl_->reports) return reported;
    Reading reading{flows, 0, ended};
    // Not for ever: the kernel may report as fast as we read.
    for (int i = 0; i < 1024; i++) {
        const ssize_t length =
            mnl_socket_recvfrom(impl_->reports.get(), impl_->buffer.data(), impl_->buffer.size());
        if (length < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) break;
            // ENOBUFS: more came than the socket holds; the rest can be read.
            if (errno != ENOBUFS && errno != ENOSPC)
                return fail_errno(errno, "cannot read what conntrack reports");
            reported.lost = true;
            continue;
        }
        if (mnl_cb_run(impl_->buffer.data(), static_cast<std::size_t>(length), 0, 0, take_entry, &reading) <
            0)
            reported.lost = true;
    }
    reported.flows = reading.count;
    return reported;
}

}  // namespace synward
