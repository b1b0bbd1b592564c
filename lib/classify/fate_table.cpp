// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/fate_table.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/abi/metadata.h"

namespace synward::fate_table {
namespace {

bool is_named(const char* name, std::string_view wanted) {
    return name && wanted == name;
}

// The three expressions of the one rule, in their order and nothing else.
struct RuleReading {
    unsigned expressions = 0;
    bool fits = true;
};

int read_expression(nftnl_expr* expression, void* data) {
    auto& reading = *static_cast<RuleReading*>(data);
    const auto is = [&](std::uint16_t attribute, std::uint32_t value) {
        return nftnl_expr_is_set(expression, attribute) && nftnl_expr_get_u32(expression, attribute) == value;
    };
    const auto is_word = [&](std::uint16_t attribute, std::uint32_t value) {
        std::uint32_t length = 0;
        const void* found = nftnl_expr_get(expression, attribute, &length);
        return found && length == sizeof value && !std::memcmp(found, &value, sizeof value);
    };
    // A register may be named by its 16 bytes or by its first 4 bytes.
    const auto is_register = [&](std::uint16_t attribute) {
        return is(attribute, NFT_REG_1) || is(attribute, NFT_REG32_00);
    };
    const char* name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    switch (reading.expressions++) {
        case 0:
            reading.fits &=
                is_named(name, "ct") && is(NFTNL_EXPR_CT_KEY, NFT_CT_MARK) && is_register(NFTNL_EXPR_CT_DREG);
            break;
        case 1:
            reading.fits &= is_named(name, "bitwise") && is_register(NFTNL_EXPR_BITWISE_SREG) &&
                            is_register(NFTNL_EXPR_BITWISE_DREG) &&
                            is_word(NFTNL_EXPR_BITWISE_MASK, SW_MARK_CLASS_MASK) &&
                            is_word(NFTNL_EXPR_BITWISE_XOR, 0);
            break;
        case 2:
            reading.fits &=
                is_named(name, "lookup") && is_register(NFTNL_EXPR_LOOKUP_SREG) &&
                is(NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT) &&
                is_named(nftnl_expr_get_str(expression, NFTNL_EXPR_LOOKUP_SET), map_name) &&
                (!nftnl_expr_is_set(expression, NFTNL_EXPR_LOOKUP_FLAGS) || is(NFTNL_EXPR_LOOKUP_FLAGS, 0));
            break;
        default:
            reading.fits = false;
    }
    return 0;
}

void read_rule(const nlmsghdr* message, Reading& reading) {
    const nft::Rule rule(nftnl_rule_alloc());
    if (nftnl_rule_nlmsg_parse(message, rule.get()) < 0 ||
        !is_named(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE), nft::table_name) ||
        !is_named(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN), chain_name))
        return;
    RuleReading expressions;
    nftnl_expr_foreach(rule.get(), read_expression, &expressions);
    reading.rules++;
    reading.rule_fits = expressions.fits && expressions.expressions == 3;
}

void read_chain(const nlmsghdr* message, Reading& reading) {
    const nft::Chain chain(nftnl_chain_alloc());
    if (nftnl_chain_nlmsg_parse(message, chain.get()) < 0 ||
        !is_named(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME), chain_name))
        return;
    reading.chain = true;
    reading.chain_fits = nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM) &&
                         nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM) == NF_INET_PRE_ROUTING &&
                         nftnl_chain_get_s32(chain.get(), NFTNL_CHAIN_PRIO) == priority &&
                         is_named(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE), "filter") &&
                         nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY) == NF_ACCEPT;
}

void read_map(const nlmsghdr* message, Reading& reading) {
    const nft::Set map(nftnl_set_alloc());
    if (nftnl_set_nlmsg_parse(message, map.get()) < 0 ||
        !is_named(nftnl_set_get_str(map.get(), NFTNL_SET_NAME), map_name))
        return;
    reading.map = true;
    reading.map_fits = nftnl_set_get_u32(map.get(), NFTNL_SET_FLAGS) == NFT_SET_MAP &&
                       nftnl_set_get_u32(map.get(), NFTNL_SET_KEY_TYPE) == type_mark &&
                       nftnl_set_get_u32(map.get(), NFTNL_SET_KEY_LEN) == sizeof(std::uint32_t) &&
                       nftnl_set_get_u32(map.get(), NFTNL_SET_DATA_TYPE) == NFT_DATA_VERDICT;
}

std::string comment_of(const nftnl_set_elem* element) {
    std::uint32_t length = 0;
    const auto* data = static_cast<const char*>(
        nftnl_set_elem_get(const_cast<nftnl_set_elem*>(element), NFTNL_SET_ELEM_USERDATA, &length));
    // Type, length, value each; somebody else may have written them.
    while (data && length >= 2) {
        const auto type = static_cast<std::uint8_t>(data[0]);
        const auto size = static_cast<std::uint8_t>(data[1]);
        if (size + 2u > length) break;
        if (type == NFTNL_UDATA_SET_ELEM_COMMENT) return {data + 2, strnlen(data + 2, size)};
        data += size + 2u;
        length -= size + 2u;
    }
    return {};
}

void read_elements(const nlmsghdr* message, Reading& reading) {
    const nft::Set map(nftnl_set_alloc());
    if (nftnl_set_elems_nlmsg_parse(message, map.get()) < 0) return;
    nftnl_set_elems_iter* at = nftnl_set_elems_iter_create(map.get());
    while (nftnl_set_elem* element = nftnl_set_elems_iter_next(at)) {
        std::uint32_t length = 0;
        const void* key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);
        if (!key || length != sizeof(std::uint32_t)) continue;
        Element read;
        std::memcpy(&read.mark, key, sizeof read.mark);
        read.verdict = nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_VERDICT);
        read.comment = comment_of(element);
        reading.elements.push_back(std::move(read));
    }
    nftnl_set_elems_iter_destroy(at);
}

using Take = void (*)(const nlmsghdr*, Reading&);

// errno; what is not there is no error.
int ask(NetlinkSocket& socket, int command, int flags, const auto& fill, Take take, Reading& reading,
        NetlinkAnswer& answer) {
    alignas(nlmsghdr) std::array<char, 1024> buffer{};
    nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), static_cast<std::uint16_t>(command),
                                              nft::table_family, static_cast<std::uint16_t>(flags), 1);
    fill(request);
    answer = socket.ask({buffer.data(), request->nlmsg_len},
                        [&](const nlmsghdr* message) { take(message, reading); });
    return answer.error == ENOENT ? 0 : answer.error;
}

void read_generation(const nlmsghdr* message, Reading& reading) {
    mnl_attr_parse(
        message, sizeof(nfgenmsg),
        [](const nlattr* attribute, void* data) {
            if (mnl_attr_get_type(attribute) == NFTA_GEN_ID &&
                mnl_attr_get_payload_len(attribute) >= sizeof(std::uint32_t))
                *static_cast<std::uint32_t*>(data) = ntohl(mnl_attr_get_u32(attribute));
            return MNL_CB_OK;
        },
        &reading.generation);
}

std::uint32_t generation_now(NetlinkSocket& socket, NetlinkAnswer& answer) {
    Reading reading;
    ask(
        socket, NFT_MSG_GETGEN, NLM_F_ACK, [](nlmsghdr*) {}, read_generation, reading, answer);
    return reading.generation;
}

void read_table(const nlmsghdr* message, Reading& reading) {
    const nft::Table table(nftnl_table_alloc());
    if (nftnl_table_nlmsg_parse(message, table.get()) < 0 ||
        !is_named(nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME), nft::table_name))
        return;
    reading.table = true;
    reading.dormant = nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT;
}

constexpr std::string_view no_nftables =
    "the kernel has no nf_tables, so there can be no rule by conntrack marks: load the module nf_tables, or "
    "set classify.rule = \"none\"";

}  // namespace

tl::unexpected<Error> fail_table(const NetlinkAnswer& answer, std::string_view what) {
    if (answer.error == EOPNOTSUPP || answer.error == EINVAL)
        return fail(ErrorCode::unsupported, std::string(no_nftables));
    if (answer.error == EBUSY)
        return fail_answer(answer, fmt::format("{}: a rule of somebody else uses its chain '{}' or map '{}'; "
                                               "see `nft list ruleset`",
                                               what, chain_name, map_name));
    if (answer.error == ERESTART || answer.error == EAGAIN)
        return fail(ErrorCode::busy,
                    fmt::format("{}: somebody else changed the ruleset each of {} times meanwhile; try again",
                                what, attempts + 1));
    return fail_answer(answer, what);
}

Result<Reading> read(NetlinkSocket& socket) {
    for (int i = 0;; i++) {
        NetlinkAnswer answer;
        Reading reading;
        reading.generation = generation_now(socket, answer);
        int error = answer.error;
        const auto named = [](std::uint16_t attribute, const char* name) {
            return [=](nlmsghdr* request) { mnl_attr_put_strz(request, attribute, name); };
        };
        if (!error)
            error = ask(socket, NFT_MSG_GETTABLE, NLM_F_ACK, named(NFTA_TABLE_NAME, nft::table_name),
                        read_table, reading, answer);
        if (!error && reading.table) {
            const auto in_table = [](std::uint16_t table, std::uint16_t attribute, const char* name) {
                return [=](nlmsghdr* request) {
                    mnl_attr_put_strz(request, table, nft::table_name);
                    mnl_attr_put_strz(request, attribute, name);
                };
            };
            error = ask(socket, NFT_MSG_GETCHAIN, NLM_F_ACK,
                        in_table(NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, chain_name), read_chain, reading, answer);
            if (!error)
                error =
                    ask(socket, NFT_MSG_GETRULE, NLM_F_DUMP,
                        in_table(NFTA_RULE_TABLE, NFTA_RULE_CHAIN, chain_name), read_rule, reading, answer);
            if (!error)
                error = ask(socket, NFT_MSG_GETSET, NLM_F_ACK,
                            in_table(NFTA_SET_TABLE, NFTA_SET_NAME, map_name), read_map, reading, answer);
            if (!error && reading.map)
                error = ask(socket, NFT_MSG_GETSETELEM, NLM_F_DUMP,
                            in_table(NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, map_name),
                            read_elements, reading, answer);
        }
        NetlinkAnswer after;
        const bool changed = generation_now(socket, after) != reading.generation;
        if (!error && !changed) return reading;
        if (after.error) answer = after;
        const bool again = !after.error && (changed || error == EINTR);
        if (again && i < attempts) continue;
        if (again && (!error || error == EINTR)) answer.error = EAGAIN;
        return fail_table(answer, "cannot read the table 'inet synward'");
    }
}

}  // namespace synward::fate_table
