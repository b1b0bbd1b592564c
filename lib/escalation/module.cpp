// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/module.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "lib/escalation/ring.h"

namespace synward {
namespace {

constexpr std::size_t set_name_bytes = 32;  // IPSET_MAXNAMELEN, with the NUL

class Request {
  public:
    Request(std::uint16_t family, std::uint8_t command, std::uint16_t flags,
            std::uint8_t version = SW_NL_VERSION)
        : header_(mnl_nlmsg_put_header(buffer_.data())) {
        header_->nlmsg_type = family;
        header_->nlmsg_flags = NLM_F_REQUEST | flags;
        header_->nlmsg_seq = 1;
        auto* generic = static_cast<genlmsghdr*>(mnl_nlmsg_put_extra_header(header_, sizeof(genlmsghdr)));
        generic->cmd = command;
        generic->version = version;
    }
    [[nodiscard]] nlmsghdr* header() { return header_; }
    [[nodiscard]] std::span<const char> bytes() const { return {buffer_.data(), header_->nlmsg_len}; }

  private:
    // More than the longest list of sets takes.
    alignas(nlmsghdr) std::array<char, 8192> buffer_{};
    nlmsghdr* header_;
};

struct Family {
    std::uint16_t id = 0;
    std::uint32_t group = 0;
};

// Attributes of one level, by a function.
template <typename Take>
void each(const nlattr* nest, Take take) {
    mnl_attr_parse_nested(
        nest,
        [](const nlattr* attribute, void* data) {
            (*static_cast<Take*>(data))(attribute);
            return MNL_CB_OK;
        },
        &take);
}

void read_group(const nlattr* nest, Family& family) {
    std::string_view name;
    std::uint32_t id = 0;
    each(nest, [&](const nlattr* attribute) {
        if (mnl_attr_get_type(attribute) == CTRL_ATTR_MCAST_GRP_NAME) name = mnl_attr_get_str(attribute);
        if (mnl_attr_get_type(attribute) == CTRL_ATTR_MCAST_GRP_ID) id = mnl_attr_get_u32(attribute);
    });
    if (name == SW_NL_GROUP) family.group = id;
}

int read_family(const nlattr* attribute, void* data) {
    auto& family = *static_cast<Family*>(data);
    if (mnl_attr_get_type(attribute) == CTRL_ATTR_FAMILY_ID) family.id = mnl_attr_get_u16(attribute);
    if (mnl_attr_get_type(attribute) == CTRL_ATTR_MCAST_GROUPS)
        each(attribute, [&](const nlattr* group) { read_group(group, family); });
    return MNL_CB_OK;
}

Result<Family> find_family(NetlinkSocket& socket) {
    Request request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK, 1);
    mnl_attr_put_strz(request.header(), CTRL_ATTR_FAMILY_NAME, SW_NL_FAMILY);
    Family family;
    const NetlinkAnswer answer = socket.ask(request.bytes(), [&](const nlmsghdr* message) {
        mnl_attr_parse(message, sizeof(genlmsghdr), read_family, &family);
    });
    if (answer.error == ENOENT || (!answer.error && family.id == 0))
        return fail(ErrorCode::missing, "the kernel module synward is not loaded: run 'modprobe synward'");
    if (answer.error) return fail_answer(answer, "cannot ask for the kernel module synward");
    return family;
}

}  // namespace

bool module_loaded() {
    return access(RingOptions().device.c_str(), F_OK) == 0;
}

Result<ModuleControl> ModuleControl::open() {
    auto socket = NetlinkSocket::open(NETLINK_GENERIC);
    if (!socket) return tl::unexpected(socket.error());
    const auto family = find_family(*socket);
    if (!family) return tl::unexpected(family.error());
    ModuleControl control(std::move(*socket), family->id, family->group);
    const auto status = control.status();
    if (!status) return tl::unexpected(status.error());
    if (status->abi != SW_RING_ABI)
        return fail(
            ErrorCode::mismatch,
            fmt::format("the kernel module synward {} speaks version {} of the ring's protocol, this program "
                        "{}: install both of one release, then 'rmmod synward; modprobe synward'",
                        status->version, status->abi, SW_RING_ABI));
    return control;
}

Result<ModuleStatus> ModuleControl::status() {
    const Request request(family_, SW_NL_GET, NLM_F_ACK);
    std::optional<ModuleStatus> status;
    const NetlinkAnswer answer =
        socket_.ask(request.bytes(), [&](const nlmsghdr* message) { status = read_module_status(message); });
    if (answer.error) return fail_answer(answer, "cannot read the state of the kernel module synward");
    if (!status)
        return fail(ErrorCode::mismatch, "the kernel module synward answers in a form of another version");
    return *status;
}

Result<void> ModuleControl::set_policy(const ModulePolicy& policy) {
    Request request(family_, SW_NL_SET, NLM_F_ACK);
    nlmsghdr* header = request.header();
    nlattr* nest = mnl_attr_nest_start(header, SW_NL_A_POLICY);
    if (policy.fail) mnl_attr_put_u8(header, SW_NL_POLICY_FAIL, static_cast<std::uint8_t>(*policy.fail));
    if (policy.slots) mnl_attr_put_u32(header, SW_NL_POLICY_SLOTS, *policy.slots);
    if (policy.bytes) mnl_attr_put_u64(header, SW_NL_POLICY_BYTES, *policy.bytes);
    if (policy.deadline_ms) mnl_attr_put_u32(header, SW_NL_POLICY_DEADLINE, *policy.deadline_ms);
    mnl_attr_nest_end(header, nest);
    const NetlinkAnswer answer = socket_.ask(request.bytes());
    if (answer.error) return fail_answer(answer, "the kernel module synward refuses this policy");
    return {};
}

Result<std::vector<RingStatus>> ModuleControl::rings() {
    const Request request(family_, SW_NL_GET_RINGS, NLM_F_DUMP);
    std::vector<RingStatus> rings;
    const NetlinkAnswer answer = socket_.ask(request.bytes(), [&](const nlmsghdr* message) {
        if (auto ring = read_ring_status(message)) rings.push_back(*ring);
    });
    // EINTR: rings came or went meanwhile; the list is as good as any other moment's
    if (answer.error && answer.error != EINTR)
        return fail_answer(answer, "cannot list the rings of the kernel module synward");
    return rings;
}

Result<ModuleCounters> ModuleControl::counters() {
    const Request request(family_, SW_NL_GET_COUNTERS, NLM_F_ACK);
    std::optional<ModuleCounters> counters;
    const NetlinkAnswer answer = socket_.ask(
        request.bytes(), [&](const nlmsghdr* message) { counters = read_module_counters(message); });
    if (answer.error) return fail_answer(answer, "cannot read the counters of the kernel module synward");
    if (!counters)
        return fail(ErrorCode::mismatch, "the kernel module synward answers in a form of another version");
    return *counters;
}

Result<void> ModuleControl::bind(const ModuleBinding& binding) {
    const std::vector<ModuleSet> sets = binding.marks ? binding.sets : std::vector<ModuleSet>{};
    if (sets.size() > SW_NL_SETS_MAX)
        return fail(
            ErrorCode::config,
            fmt::format("{} sets are too many: the kernel module synward looks at {} at most; put some "
                        "of them into a list:set",
                        sets.size(), SW_NL_SETS_MAX));
    Request request(family_, SW_NL_BIND, NLM_F_ACK);
    nlmsghdr* header = request.header();
    std::vector<std::uint32_t> ends;  // of each set, in the message
    nlattr* list = binding.marks ? mnl_attr_nest_start(header, SW_NL_A_SETS) : nullptr;
    for (const ModuleSet& set : sets) {
        if (set.name.size() >= set_name_bytes)
            return fail(ErrorCode::config, fmt::format("no ipset can have the name '{}'", set.name));
        nlattr* nest = mnl_attr_nest_start(header, SW_NL_A_SET);
        mnl_attr_put_strz(header, SW_NL_SET_NAME, set.name.c_str());
        mnl_attr_put_u8(header, SW_NL_SET_DIM, set.dim);
        mnl_attr_put_u8(header, SW_NL_SET_FLAGS, set.flags);
        mnl_attr_nest_end(header, nest);
        ends.push_back(header->nlmsg_len);
    }
    if (list) mnl_attr_nest_end(header, list);
    const NetlinkAnswer answer = socket_.ask(request.bytes());
    if (!answer.error) return {};
    if (answer.error == EOPNOTSUPP)
        return fail(
            ErrorCode::unsupported,
            "the kernel module synward cannot look at sets: it is of an older release, or was built for "
            "a kernel without ip_set or marks of connections");
    const auto wrong =
        static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), answer.offset) - ends.begin());
    if (answer.offset == 0 || wrong == sets.size())
        return fail_answer(answer, "the kernel module synward refuses these sets");
    const std::string what =
        fmt::format("the kernel module synward cannot look at the ipset '{}'", sets[wrong].name);
    // `missing` would say that the module is not there
    if (answer.error == ENOENT)
        return fail(ErrorCode::system, fmt::format("{}: it does not exist (any more)", what));
    return fail_answer(answer, what);
}

Result<ModuleBinding> ModuleControl::bound() {
    const Request request(family_, SW_NL_GET_BOUND, NLM_F_ACK);
    std::optional<ModuleBinding> binding;
    const NetlinkAnswer answer = socket_.ask(
        request.bytes(), [&](const nlmsghdr* message) { binding = read_module_binding(message); });
    if (answer.error == EOPNOTSUPP) return ModuleBinding{};
    if (answer.error) return fail_answer(answer, "cannot read which sets the kernel module synward looks at");
    if (!binding)
        return fail(ErrorCode::mismatch, "the kernel module synward answers in a form of another version");
    return std::move(*binding);
}

Result<ModuleEvents> ModuleEvents::subscribe(const ModuleControl& control) {
    if (control.group_ == 0) return fail(ErrorCode::mismatch, "the kernel module synward has no events");
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC));
    if (!fd) return fail_errno(errno, "cannot open a netlink socket");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address))
        return fail_errno(errno, "cannot bind a netlink socket");
    const auto group = static_cast<int>(control.group_);
    if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group))
        return fail_errno(errno, "cannot subscribe to the events of the kernel module synward");
    return ModuleEvents(std::move(fd), control.family_);
}

Result<std::vector<ModuleEvent>> ModuleEvents::read() {
    std::vector<ModuleEvent> events;
    alignas(nlmsghdr) std::array<char, 8192> buffer;
    for (;;) {
        const ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return events;
        if (got < 0 && errno == ENOBUFS) {
            ++lost_;
            continue;
        }
        if (got < 0) return fail_errno(errno, "cannot read the events of the kernel module synward");
        int rest = static_cast<int>(got);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
        for (; mnl_nlmsg_ok(message, rest); message = mnl_nlmsg_next(message, &rest)) {
            if (message->nlmsg_type != family_) continue;
            if (auto event = read_module_event(message)) events.push_back(*event);
        }
    }
}

}  // namespace synward
