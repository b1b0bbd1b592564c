// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/fate_rule.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/abi/metadata.h"
#include "lib/netlink.h"

namespace synward {
namespace {

constexpr const char* table_name = "synward";
constexpr const char* chain_name = "classify";
constexpr const char* map_name = "fate";
constexpr int priority = -140;
constexpr std::uint16_t table_family = NFPROTO_INET;
constexpr std::uint32_t type_mark = 19;   // nft's number of the type; the kernel only keeps it
constexpr std::uint32_t host_endian = 1;  // nft's number of the byte order
constexpr std::string_view comment_start = "fate ";
constexpr int attempts = 5;  // somebody else may change the ruleset at the same time

struct Free {
    void operator()(nftnl_table* table) const { nftnl_table_free(table); }
    void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
    void operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
    void operator()(nftnl_set* set) const { nftnl_set_free(set); }
    void operator()(nftnl_udata_buf* buffer) const { nftnl_udata_buf_free(buffer); }
};
using Table = std::unique_ptr<nftnl_table, Free>;
using Chain = std::unique_ptr<nftnl_chain, Free>;
using Rule = std::unique_ptr<nftnl_rule, Free>;
using Set = std::unique_ptr<nftnl_set, Free>;

struct Element {
    std::uint32_t mark = 0;
    std::uint32_t verdict = 0;  // NF_ACCEPT, NF_DROP, NFT_JUMP ...
    std::string comment;
};

// What the table has of ours.
struct Reading {
    std::uint32_t generation = 0;  // of the whole ruleset
    bool table = false;
    bool dormant = false;
    bool map = false;
    bool map_fits = false;
    bool chain = false;
    bool chain_fits = false;
    std::size_t rules = 0;
    bool rule_fits = false;  // that of the last one; there should be one
    std::vector<Element> elements;
};

bool is_named(const char* name, std::string_view wanted) {
    return name && wanted == name;
}

// --- writing -------------------------------------------------------------------

Table our_table() {
    Table table(nftnl_table_alloc());
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, table_name);
    return table;
}

Chain our_chain(bool with_hook) {
    Chain chain(nftnl_chain_alloc());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table_name);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, chain_name);
    if (with_hook) {
        nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
        nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, NF_INET_PRE_ROUTING);
        nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
        nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    }
    return chain;
}

Set our_map() {
    Set map(nftnl_set_alloc());
    nftnl_set_set_u32(map.get(), NFTNL_SET_FAMILY, table_family);
    nftnl_set_set_str(map.get(), NFTNL_SET_TABLE, table_name);
    nftnl_set_set_str(map.get(), NFTNL_SET_NAME, map_name);
    return map;
}

Set new_map() {
    Set map = our_map();
    nftnl_set_set_u32(map.get(), NFTNL_SET_ID, 1);
    nftnl_set_set_u32(map.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
    nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_TYPE, type_mark);
    nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_LEN, sizeof(std::uint32_t));
    nftnl_set_set_u32(map.get(), NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    // What the nft command keeps for itself: without it the marks are listed backwards.
    const std::unique_ptr<nftnl_udata_buf, Free> data(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
    if (nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_KEYBYTEORDER, host_endian))
        nftnl_set_set_data(map.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()),
                           nftnl_udata_buf_len(data.get()));
    return map;
}

void add_element(nftnl_set* map, const Element& element) {
    nftnl_set_elem* added = nftnl_set_elem_alloc();
    nftnl_set_elem_set(added, NFTNL_SET_ELEM_KEY, &element.mark, sizeof element.mark);
    nftnl_set_elem_set_u32(added, NFTNL_SET_ELEM_VERDICT, element.verdict);
    const std::unique_ptr<nftnl_udata_buf, Free> comment(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
    if (nftnl_udata_put_strz(comment.get(), NFTNL_UDATA_SET_ELEM_COMMENT, element.comment.c_str()))
        nftnl_set_elem_set(added, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(comment.get()),
                           nftnl_udata_buf_len(comment.get()));
    nftnl_set_elem_add(map, added);
}

// ct mark & SW_MARK_CLASS_MASK vmap @fate
Rule our_rule() {
    Rule rule(nftnl_rule_alloc());
    nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, table_family);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table_name);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain_name);
    const auto add = [&](const char* name) {
        nftnl_expr* expression = nftnl_expr_alloc(name);
        nftnl_rule_add_expr(rule.get(), expression);
        return expression;
    };
    const std::uint32_t mask = SW_MARK_CLASS_MASK;
    const std::uint32_t none = 0;
    nftnl_expr* load = add("ct");
    nftnl_expr_set_u32(load, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    nftnl_expr_set_u32(load, NFTNL_EXPR_CT_DREG, NFT_REG_1);
    nftnl_expr* bits = add("bitwise");
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_LEN, sizeof mask);
    nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
    nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_XOR, &none, sizeof none);
    nftnl_expr* look_up = add("lookup");
    nftnl_expr_set_u32(look_up, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(look_up, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_str(look_up, NFTNL_EXPR_LOOKUP_SET, map_name);
    return rule;
}

// One transaction: all of it happens, or nothing; and nothing (ERESTART) if the ruleset
// is of another generation than the one that was looked at.
class Transaction {
  public:
    explicit Transaction(std::uint32_t generation) : buffer_(bytes) {
        nlmsghdr* begin = nftnl_batch_begin(at(), sequence_++);
        mnl_attr_put_u32(begin, NFNL_BATCH_GENID, htonl(generation));
        used_ += MNL_ALIGN(begin->nlmsg_len);
    }
    void table(int command, int flags, nftnl_table* table) {
        nftnl_table_nlmsg_build_payload(next(command, flags), table);
        advance();
    }
    void chain(int command, int flags, bool with_hook = false) {
        nftnl_chain_nlmsg_build_payload(next(command, flags), our_chain(with_hook).get());
        advance();
    }
    void rule(int command, int flags, nftnl_rule* rule) {
        nftnl_rule_nlmsg_build_payload(next(command, flags), rule);
        advance();
    }
    void map(int command, int flags, nftnl_set* map) {
        nftnl_set_nlmsg_build_payload(next(command, flags), map);
        advance();
    }
    void elements(int command, int flags, nftnl_set* map) {
        nftnl_set_elems_nlmsg_build_payload(next(command, flags), map);
        advance();
    }
    NetlinkAnswer commit(NetlinkSocket& socket) {
        nlmsghdr* end = nftnl_batch_end(at(), sequence_++);
        used_ += MNL_ALIGN(end->nlmsg_len);
        return socket.ask({buffer_.data(), used_});
    }

  private:
    // 256 elements twice, with comments, are less than 40 KiB.
    static constexpr std::size_t bytes = 131072;

    char* at() { return buffer_.data() + used_; }
    nlmsghdr* next(int command, int flags) {
        message_ = nftnl_nlmsg_build_hdr(at(), static_cast<std::uint16_t>(command), table_family,
                                         static_cast<std::uint16_t>(flags), sequence_++);
        return message_;
    }
    void advance() { used_ += MNL_ALIGN(message_->nlmsg_len); }

    std::vector<char> buffer_;
    std::size_t used_ = 0;
    nlmsghdr* message_ = nullptr;
    std::uint32_t sequence_ = 1;
};

// --- reading -------------------------------------------------------------------

// The three expressions of our_rule(), in their order and nothing else.
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
    const Rule rule(nftnl_rule_alloc());
    if (nftnl_rule_nlmsg_parse(message, rule.get()) < 0 ||
        !is_named(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE), table_name) ||
        !is_named(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN), chain_name))
        return;
    RuleReading expressions;
    nftnl_expr_foreach(rule.get(), read_expression, &expressions);
    reading.rules++;
    reading.rule_fits = expressions.fits && expressions.expressions == 3;
}

void read_chain(const nlmsghdr* message, Reading& reading) {
    const Chain chain(nftnl_chain_alloc());
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
    const Set map(nftnl_set_alloc());
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
    const Set map(nftnl_set_alloc());
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
                                              table_family, static_cast<std::uint16_t>(flags), 1);
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
    const Table table(nftnl_table_alloc());
    if (nftnl_table_nlmsg_parse(message, table.get()) < 0 ||
        !is_named(nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME), table_name))
        return;
    reading.table = true;
    reading.dormant = nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT;
}

constexpr std::string_view no_nftables =
    "the kernel has no nf_tables, so there can be no rule by conntrack marks: load the module nf_tables, or "
    "set classify.rule = \"none\"";

tl::unexpected<Error> fail_table(const NetlinkAnswer& answer, std::string_view what) {
    if (answer.error == EOPNOTSUPP || answer.error == EINVAL)
        return fail(ErrorCode::unsupported, std::string(no_nftables));
    if (answer.error == EBUSY)
        return fail_answer(answer, fmt::format("{}: a rule of somebody else uses its chain '{}' or map '{}'; "
                                               "see `nft list ruleset`",
                                               what, chain_name, map_name));
    return fail_answer(answer, what);
}

// Everything of one generation of the ruleset.
Result<Reading> look(NetlinkSocket& socket) {
    for (int i = 0;; i++) {
        NetlinkAnswer answer;
        Reading reading;
        reading.generation = generation_now(socket, answer);
        int error = answer.error;
        const auto named = [](std::uint16_t attribute, const char* name) {
            return [=](nlmsghdr* request) { mnl_attr_put_strz(request, attribute, name); };
        };
        if (!error)
            error = ask(socket, NFT_MSG_GETTABLE, NLM_F_ACK, named(NFTA_TABLE_NAME, table_name), read_table,
                        reading, answer);
        if (!error && reading.table) {
            const auto in_table = [](std::uint16_t table, std::uint16_t attribute, const char* name) {
                return [=](nlmsghdr* request) {
                    mnl_attr_put_strz(request, table, table_name);
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
        if ((error && error != EINTR && !changed) || i == attempts)
            return fail_table(answer, "cannot read the table 'inet synward'");
    }
}

// --- what is wanted --------------------------------------------------------------

std::vector<Element> wanted_elements(const Fates& fates) {
    std::vector<Element> elements;
    for (const Fate& fate : fates.all())
        if (fate.verdict != FateVerdict::go_on)
            elements.push_back(
                {fate.mark,
                 static_cast<std::uint32_t>(fate.verdict == FateVerdict::drop ? NF_DROP : NF_ACCEPT),
                 std::string(comment_start) + fate.name});
    return elements;
}

const Element* find_mark(const std::vector<Element>& elements, std::uint32_t mark) {
    for (const Element& element : elements)
        if (element.mark == mark) return &element;
    return nullptr;
}

bool made_by_us(const Element& element) {
    return std::string_view(element.comment).starts_with(comment_start);
}

// Empty: everything is as it should be.
std::string difference(const Reading& reading, const std::vector<Element>& wanted) {
    if (!reading.table) return "the table 'inet synward' is gone";
    if (reading.dormant) return "the table 'inet synward' is dormant";
    if (!reading.chain) return "its chain 'classify' is gone";
    if (!reading.chain_fits) return "its chain 'classify' has another hook, priority or policy";
    if (!reading.map) return "its map 'fate' is gone";
    if (!reading.map_fits) return "its map 'fate' is of another type";
    if (!reading.rules) return "its chain 'classify' is empty";
    if (reading.rules > 1 || !reading.rule_fits) return "its chain 'classify' has other rules than the one";
    for (const Element& element : wanted) {
        const Element* found = find_mark(reading.elements, element.mark);
        if (!found) return fmt::format("its map 'fate' lacks mark {:#x} ({})", element.mark, element.comment);
        if (found->verdict != element.verdict)
            return fmt::format("its map 'fate' has another verdict for mark {:#x} ({})", element.mark,
                               element.comment);
    }
    for (const Element& element : reading.elements)
        if (made_by_us(element) && !find_mark(wanted, element.mark))
            return fmt::format("its map 'fate' has mark {:#x} ({}), which is no fate any more", element.mark,
                               element.comment);
    return {};
}

// Elements that have to go before the wanted ones can be added.
Set outdated(const Reading& reading, const std::vector<Element>& wanted, bool& any) {
    Set map = our_map();
    for (const Element& element : reading.elements) {
        const Element* now = find_mark(wanted, element.mark);
        const bool goes =
            now ? now->verdict != element.verdict || now->comment != element.comment : made_by_us(element);
        if (!goes) continue;
        nftnl_set_elem* key = nftnl_set_elem_alloc();
        nftnl_set_elem_set(key, NFTNL_SET_ELEM_KEY, &element.mark, sizeof element.mark);
        nftnl_set_elem_add(map.get(), key);
        any = true;
    }
    return map;
}

// A transaction of its own: the kernel takes no other change together with it.
NetlinkAnswer wake_table(NetlinkSocket& socket, const Reading& reading) {
    Transaction transaction(reading.generation);
    const Table table = our_table();
    nftnl_table_set_u32(table.get(), NFTNL_TABLE_FLAGS, 0);
    transaction.table(NFT_MSG_NEWTABLE, 0, table.get());
    return transaction.commit(socket);
}

NetlinkAnswer try_install(NetlinkSocket& socket, const Reading& reading, const std::vector<Element>& wanted) {
    Transaction transaction(reading.generation);
    transaction.table(NFT_MSG_NEWTABLE, NLM_F_CREATE, our_table().get());
    // Its rules go with it, so that nothing refers to the map.
    if (reading.chain) transaction.chain(NFT_MSG_DELCHAIN, 0);
    const bool keeps_map = reading.map && reading.map_fits;
    if (reading.map && !keeps_map) transaction.map(NFT_MSG_DELSET, 0, our_map().get());
    if (!keeps_map) transaction.map(NFT_MSG_NEWSET, NLM_F_CREATE, new_map().get());
    if (keeps_map) {
        bool any = false;
        const Set old = outdated(reading, wanted, any);
        if (any) transaction.elements(NFT_MSG_DELSETELEM, 0, old.get());
    }
    const Set elements = our_map();
    nftnl_set_set_u32(elements.get(), NFTNL_SET_ID, 1);
    for (const Element& element : wanted) add_element(elements.get(), element);
    transaction.elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, elements.get());
    transaction.chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE, true);
    transaction.rule(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, our_rule().get());
    return transaction.commit(socket);
}

}  // namespace

std::string_view rule_state_name(RuleState state) {
    switch (state) {
        case RuleState::damaged:
            return "damaged";
        case RuleState::exact:
            return "exact";
        case RuleState::absent:
            break;
    }
    return "absent";
}

Result<void> install_fate_rule(const Fates& fates) {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    const std::vector<Element> wanted = wanted_elements(fates);
    for (int i = 0;; i++) {
        const auto reading = look(*socket);
        if (!reading) return tl::unexpected(reading.error());
        const NetlinkAnswer answer =
            reading->dormant ? wake_table(*socket, *reading) : try_install(*socket, *reading, wanted);
        if (!answer.error && reading->dormant && i < attempts) continue;
        if (!answer.error) return {};
        // Somebody changed the ruleset since we looked.
        if (answer.error == ERESTART && i < attempts) continue;
        if (answer.error == ENOENT)
            return fail(ErrorCode::unsupported,
                        "the kernel's nftables cannot look at conntrack marks: load the modules nft_ct and "
                        "nf_conntrack, or set classify.rule = \"none\"");
        return fail_table(answer, "cannot make the one rule of the table 'inet synward'");
    }
}

Result<FateRule> find_fate_rule(const Fates& fates) {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    const auto reading = look(*socket);
    if (!reading) return tl::unexpected(reading.error());
    const std::vector<Element> wanted = wanted_elements(fates);
    FateRule found;
    found.difference = difference(*reading, wanted);
    found.state = found.difference.empty()         ? RuleState::exact
                  : reading->chain || reading->map ? RuleState::damaged
                                                   : RuleState::absent;
    for (const Element& element : reading->elements)
        if (!made_by_us(element) && !find_mark(wanted, element.mark)) found.foreign++;
    return found;
}

Result<void> remove_fate_rule() {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    for (int i = 0;; i++) {
        const auto reading = look(*socket);
        if (!reading) return tl::unexpected(reading.error());
        if (!reading->chain && !reading->map) return {};
        Transaction ours(reading->generation);
        if (reading->chain) ours.chain(NFT_MSG_DELCHAIN, 0);
        if (reading->map) ours.map(NFT_MSG_DELSET, 0, our_map().get());
        const NetlinkAnswer removed = ours.commit(*socket);
        if (removed.error == ERESTART && i < attempts) continue;
        if (removed.error && removed.error != ENOENT)
            return fail_table(removed, "cannot remove the one rule of the table 'inet synward'");
        break;
    }
    // The table may hold more than this; it goes only when it is empty.
    NetlinkAnswer answer;
    Transaction table(generation_now(*socket, answer));
    table.table(NFT_MSG_DELTABLE, NLM_F_NONREC, our_table().get());
    const NetlinkAnswer emptied = table.commit(*socket);
    if (emptied.error && emptied.error != ENOENT && emptied.error != EBUSY && emptied.error != ERESTART)
        return fail_table(emptied, "cannot remove the empty table 'inet synward'");
    return {};
}

}  // namespace synward
