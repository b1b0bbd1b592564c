// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/nfqueue.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "lib/clock.h"

namespace synward {
namespace {

constexpr int most_send_tries = 100;

// Headers and attributes around the packet's bytes; a VLAN tag or a bridge adds
// some, none comes near it.
constexpr std::size_t room_for_attributes = 512;
constexpr unsigned most_in_batch = 1024;
// The kernel reserves some of the 16 bits of the payload's attribute.
constexpr std::uint32_t least_copy = 64, most_copy = 65535 - 256;
// Control messages are numbered; packets and verdicts have number 0.
enum : std::uint32_t { probe_sequence = 1, bind_sequence, settings_sequence, closing_sequence };

constexpr std::size_t datagram_bytes(const NfqueueOptions& options) {
    return (options.copy_bytes + room_for_attributes + 63) / 64 * 64;
}

class ControlMessage {
  public:
    ControlMessage(std::uint16_t queue, std::uint32_t sequence, nfqnl_msg_types type = NFQNL_MSG_CONFIG)
        : header_(mnl_nlmsg_put_header(buffer_.data())) {
        header_->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_QUEUE << 8 | type);
        header_->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
        header_->nlmsg_seq = sequence;
        auto* generic = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
        generic->nfgen_family = AF_UNSPEC;
        generic->version = NFNETLINK_V0;
        generic->res_id = htons(queue);
    }
    void command(std::uint8_t command) {
        const nfqnl_msg_config_cmd value{.command = command, ._pad = 0, .pf = htons(AF_UNSPEC)};
        mnl_attr_put(header_, NFQA_CFG_CMD, sizeof value, &value);
    }
    void copy(std::uint32_t bytes) {
        const nfqnl_msg_config_params value{.copy_range = htonl(bytes), .copy_mode = NFQNL_COPY_PACKET};
        mnl_attr_put(header_, NFQA_CFG_PARAMS, sizeof value, &value);
    }
    // Of a batch: for every packet up to the number, in the sense of a sequence that wraps.
    void verdict(std::uint32_t kind, std::uint32_t last_id) {
        const nfqnl_msg_verdict_hdr value{.verdict = htonl(kind), .id = htonl(last_id)};
        mnl_attr_put(header_, NFQA_VERDICT_HDR, sizeof value, &value);
    }
    void number(std::uint16_t attribute, std::uint32_t value) {
        mnl_attr_put_u32(header_, attribute, htonl(value));
    }
    [[nodiscard]] bool send(int fd) const { return ::send(fd, header_, header_->nlmsg_len, 0) >= 0; }
    // Without a look at the answer, which finds no room in a full socket.
    void send_anyhow(int fd) const {
        for (int tries = 0; !send(fd) && tries < most_send_tries; tries++) sched_yield();
    }

  private:
    alignas(nlmsghdr) std::array<char, 256> buffer_{};
    nlmsghdr* header_;
};

Result<void> check(const NfqueueOptions& options) {
    if (options.batch < 1 || options.batch > most_in_batch)
        return fail(ErrorCode::usage,
                    fmt::format("a batch of {} packets: it must be 1 to {}", options.batch, most_in_batch));
    if (options.copy_bytes < least_copy || options.copy_bytes > most_copy)
        return fail(ErrorCode::usage, fmt::format("{} bytes of each packet: they must be {} to {}",
                                                  options.copy_bytes, least_copy, most_copy));
    if (options.max_length < 1)
        return fail(ErrorCode::usage, "a queue of no packet: its length must be at least 1");
    if (options.receive_bytes < 4096 || options.receive_bytes > 1u << 30)
        return fail(ErrorCode::usage, fmt::format("a socket buffer of {} bytes: it must be 4096 to {}",
                                                  options.receive_bytes, 1u << 30));
    return {};
}

}  // namespace

// By the kernel's allocator and the packet's length, 0.7 to 1.3 KiB are taken for one.
void NfqueueOptions::make_room(std::uint32_t packets) {
    receive_bytes = std::max(packets, 8u) * 512;
    max_length = 4 * packets + most_in_batch;
}

NfqueueTransport::NfqueueTransport(Descriptor fd, const NfqueueOptions& options)
    : fd_(std::move(fd)),
      options_(options),
      buffer_(options.batch * datagram_bytes(options)),
      vectors_(options.batch),
      headers_(options.batch),
      events_(options.batch),
      verdict_buffer_(options.batch * queue_verdict_bytes) {
    const std::size_t stride = datagram_bytes(options);
    for (unsigned i = 0; i < options.batch; ++i) {
        vectors_[i] = {.iov_base = buffer_.data() + i * stride, .iov_len = stride};
        headers_[i].msg_hdr.msg_iov = &vectors_[i];
        headers_[i].msg_hdr.msg_iovlen = 1;
    }
}

Result<std::unique_ptr<NfqueueTransport>> NfqueueTransport::open(const NfqueueOptions& options) {
    if (auto checked = check(options); !checked) return tl::unexpected(checked.error());
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!fd) return fail_errno(errno, "cannot open a netfilter netlink socket");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address))
        return fail_errno(errno, "cannot bind a netfilter netlink socket");
    // A smaller buffer only loses more under load, which is counted.
    const int bytes = static_cast<int>(options.receive_bytes);
    if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        (void)setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);

    std::unique_ptr<NfqueueTransport> transport(new NfqueueTransport(std::move(fd), options));
    if (auto configured = transport->configure(); !configured) return tl::unexpected(configured.error());
    return transport;
}

// Where another process has the queue, the kernel refuses both messages.
NfqueueTransport::~NfqueueTransport() {
    // First no more is held: what finds a full queue has the fail policy from the kernel.
    ControlMessage full(options_.queue, closing_sequence);
    full.number(NFQA_CFG_QUEUE_MAXLEN, 0);
    full.send_anyhow(fd_.get());
    // Then what is; closing the socket would drop it. Its numbers end soon behind the last one seen.
    ControlMessage rest(options_.queue, closing_sequence, NFQNL_MSG_VERDICT_BATCH);
    rest.verdict(options_.fail_open ? NF_ACCEPT : NF_DROP, next_id_ + (1u << 30));
    rest.send_anyhow(fd_.get());
}

Result<void> NfqueueTransport::configure() {
    const std::uint16_t queue = options_.queue;
    const auto ask = [&](const ControlMessage& message, std::uint32_t sequence) -> Result<int> {
        if (!message.send(fd_.get())) return errno;
        return await_answer(sequence);
    };
    // A command that does nothing tells a missing privilege from a taken queue:
    // for both, BIND would say EPERM.
    ControlMessage probe(queue, probe_sequence);
    probe.command(NFQNL_CFG_CMD_PF_UNBIND);
    auto error = ask(probe, probe_sequence);
    if (!error) return tl::unexpected(error.error());
    if (*error == EINVAL || *error == EOPNOTSUPP)
        return fail(ErrorCode::unsupported,
                    "the kernel has no nfnetlink_queue: load that module, or use a kernel with "
                    "CONFIG_NETFILTER_NETLINK_QUEUE");
    if (*error) return fail_errno(*error, "cannot configure queues of netfilter (nfnetlink_queue)");

    ControlMessage bind(queue, bind_sequence);
    bind.command(NFQNL_CFG_CMD_BIND);
    error = ask(bind, bind_sequence);
    if (!error) return tl::unexpected(error.error());
    if (*error == EPERM || *error == EBUSY)
        return fail(
            ErrorCode::busy,
            fmt::format("queue {} of netfilter has another reader: stop it "
                        "(/proc/net/netfilter/nfnetlink_queue shows its port id) or take another queue",
                        queue));
    if (*error) return fail_errno(*error, fmt::format("cannot bind queue {} of netfilter", queue));

    ControlMessage settings(queue, settings_sequence);
    settings.copy(options_.copy_bytes);
    settings.number(NFQA_CFG_QUEUE_MAXLEN, options_.max_length);
    // GSO: large packets come whole, not cut into segments for a reader of headers.
    const std::uint32_t flags = NFQA_CFG_F_GSO | (options_.fail_open ? NFQA_CFG_F_FAIL_OPEN : 0u);
    settings.number(NFQA_CFG_MASK, NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN);
    settings.number(NFQA_CFG_FLAGS, flags);
    error = ask(settings, settings_sequence);
    if (!error) return tl::unexpected(error.error());
    if (*error) return fail_errno(*error, fmt::format("cannot set up queue {} of netfilter", queue));
    return {};
}

Result<int> NfqueueTransport::await_answer(std::uint32_t sequence) {
    for (;;) {
        const ssize_t got = recv(fd_.get(), buffer_.data(), datagram_bytes(options_), 0);
        if (got < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
        // the kernel answers before send() returns
        if (got < 0)
            return fail_errno(errno, "the kernel does not answer to nfnetlink_queue's configuration");
        const auto message = read_queue_message({buffer_.data(), static_cast<std::size_t>(got)});
        if (message.kind == QueueMessage::Kind::answer && message.sequence == sequence) return message.error;
        if (message.kind != QueueMessage::Kind::packet) continue;
        // Came between binding and setting up, when nothing but its id is sent.
        const Verdict accept{.id = queue_event_id(message.packet.id, message.packet.mark)};
        note_gap(message.packet.id);
        if (auto sent = send({&accept, 1}); !sent) return tl::unexpected(sent.error());
    }
}

Result<int> NfqueueTransport::receive_datagrams() {
    for (;;) {
        counters_.system_calls.add();
        const int got = recvmmsg(fd_.get(), headers_.data(), options_.batch, MSG_DONTWAIT, nullptr);
        if (got >= 0) return got;
        switch (errno) {
            case EAGAIN:
                return 0;
            case ENOBUFS:
                // Packets found the socket full. How many, the next packet's id tells.
                overruns_.add();
                break;
            case EINTR:
                break;
            default:
                return fail_errno(errno,
                                  fmt::format("cannot read from queue {} of netfilter", options_.queue));
        }
    }
}

void NfqueueTransport::note_gap(std::uint32_t packet_id) {
    const std::uint32_t missing = packet_id - next_id_;
    if (missing && missing < 1u << 31) counters_.lost.add(missing);
    next_id_ = packet_id + 1;
}

void NfqueueTransport::take(const QueueMessage& message) {
    switch (message.kind) {
        case QueueMessage::Kind::packet:
            note_gap(message.packet.id);
            events_[event_count_] = {};
            fill_event(message.packet, events_[event_count_]);
            // The number 0 comes once in 2^32 packets, and without a mark of ours: an event
            // with id 0 gets no verdict, so this packet goes on without being asked about.
            if (events_[event_count_].id == 0) {
                const Verdict accept;
                (void)send({&accept, 1});
                break;
            }
            ++event_count_;
            break;
        case QueueMessage::Kind::answer:
            if (message.error) counters_.refused.add();
            break;
        case QueueMessage::Kind::unknown:
            counters_.torn.add();
            break;
    }
}

Result<std::span<const FlowEvent>> NfqueueTransport::receive() {
    event_count_ = 0;
    // Refused verdicts come by the same way; a batch of nothing else is not the end.
    while (event_count_ == 0) {
        const auto got = receive_datagrams();
        if (!got) return tl::unexpected(got.error());
        if (*got == 0) break;
        for (int i = 0; i < *got; ++i) {
            const auto* bytes = static_cast<const std::uint8_t*>(vectors_[i].iov_base);
            take(read_queue_message({bytes, headers_[i].msg_len}));
        }
    }
    if (event_count_ == 0) return std::span<const FlowEvent>{};
    const std::uint64_t now = monotonic_now();
    for (std::size_t i = 0; i < event_count_; ++i) events_[i].time = now;
    counters_.received.add(event_count_);
    counters_.batches.add();
    return std::span<const FlowEvent>(events_.data(), event_count_);
}

Result<void> NfqueueTransport::send(std::span<const Verdict> verdicts) {
    std::size_t length = 0;
    for (const Verdict& verdict : verdicts) {
        if (length == verdict_buffer_.size()) {
            if (auto sent = send_bytes(length); !sent) return sent;
            length = 0;
        }
        write_queue_verdict(
            std::span<std::uint8_t, queue_verdict_bytes>(&verdict_buffer_[length], queue_verdict_bytes),
            options_.queue, verdict);
        length += queue_verdict_bytes;
    }
    return length ? send_bytes(length) : Result<void>{};
}

Result<void> NfqueueTransport::send_bytes(std::size_t length) {
    // Short of memory for a moment is no reason to let go of the queue and all it holds.
    for (int tries = 0;; tries++) {
        counters_.system_calls.add();
        if (::send(fd_.get(), verdict_buffer_.data(), length, 0) >= 0) break;
        const bool later = (errno == ENOBUFS || errno == ENOMEM) && tries < most_send_tries;
        if (later) sched_yield();
        if (!later && errno != EINTR)
            return fail_errno(errno,
                              fmt::format("cannot send verdicts to queue {} of netfilter", options_.queue));
    }
    counters_.verdicts.add(length / queue_verdict_bytes);
    return {};
}

}  // namespace synward
