// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/fate_rule.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/abi/metadata.h"
#include "lib/classify/fate_table.h"

namespace synward {
namespace {

using fate_table::Element;
using fate_table::Reading;

constexpr std::uint32_t host_endian = 1;  // nft's number of the byte order
constexpr std::string_view comment_start = "fate ";

struct FreeData {
    void operator()(nftnl_udata_buf* buffer) const { nftnl_udata_buf_free(buffer); }
};
using UserData = std::unique_ptr<nftnl_udata_buf, FreeData>;

nft::Set our_map() {
    nft::Set map(nftnl_set_alloc());
    nftnl_set_set_u32(map.get(), NFTNL_SET_FAMILY, nft::table_family);
    nftnl_set_set_str(map.get(), NFTNL_SET_TABLE, nft::table_name);
    nftnl_set_set_str(map.get(), NFTNL_SET_NAME, fate_table::map_name);
    return map;
}

nft::Set new_map() {
    nft::Set map = our_map();
    nftnl_set_set_u32(map.get(), NFTNL_SET_ID, 1);
    nftnl_set_set_u32(map.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
    nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_TYPE, fate_table::type_mark);
    nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_LEN, sizeof(std::uint32_t));
    nftnl_set_set_u32(map.get(), NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    // What the nft command keeps for itself: without it the marks are listed backwards.
    const UserData data(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
    if (nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_KEYBYTEORDER, host_endian))
        nftnl_set_set_data(map.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()),
                           nftnl_udata_buf_len(data.get()));
    return map;
}

void add_element(nftnl_set* map, const Element& element) {
    nftnl_set_elem* added = nftnl_set_elem_alloc();
    nftnl_set_elem_set(added, NFTNL_SET_ELEM_KEY, &element.mark, sizeof element.mark);
    nftnl_set_elem_set_u32(added, NFTNL_SET_ELEM_VERDICT, element.verdict);
    const UserData comment(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
    if (nftnl_udata_put_strz(comment.get(), NFTNL_UDATA_SET_ELEM_COMMENT, element.comment.c_str()))
        nftnl_set_elem_set(added, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(comment.get()),
                           nftnl_udata_buf_len(comment.get()));
    nftnl_set_elem_add(map, added);
}

// ct mark & SW_MARK_CLASS_MASK vmap @fate
nft::Rule the_rule() {
    nft::Rule rule = nft::our_rule(fate_table::chain_name);
    nftnl_expr* load = nft::add_expression(rule.get(), "ct");
    nftnl_expr_set_u32(load, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    nftnl_expr_set_u32(load, NFTNL_EXPR_CT_DREG, NFT_REG_1);
    nft::add_mask(rule.get(), SW_MARK_CLASS_MASK);
    nftnl_expr* look_up = nft::add_expression(rule.get(), "lookup");
    nftnl_expr_set_u32(look_up, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(look_up, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_str(look_up, NFTNL_EXPR_LOOKUP_SET, fate_table::map_name);
    return rule;
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

// The comments too, which difference() does not look at: a fate may have been renamed.
bool exact(const Reading& reading, const std::vector<Element>& wanted) {
    return difference(reading, wanted).empty() && std::ranges::all_of(wanted, [&](const Element& element) {
               return find_mark(reading.elements, element.mark)->comment == element.comment;
           });
}

// Elements that have to go before the wanted ones can be added.
nft::Set outdated(const Reading& reading, const std::vector<Element>& wanted, bool& any) {
    nft::Set map = our_map();
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
    nft::Transaction transaction(reading.generation);
    const nft::Table table = nft::our_table();
    nftnl_table_set_u32(table.get(), NFTNL_TABLE_FLAGS, 0);
    transaction.table(NFT_MSG_NEWTABLE, 0, table.get());
    return transaction.commit(socket);
}

NetlinkAnswer try_install(NetlinkSocket& socket, const Reading& reading, const std::vector<Element>& wanted) {
    nft::Transaction transaction(reading.generation);
    transaction.table(NFT_MSG_NEWTABLE, NLM_F_CREATE, nft::our_table().get());
    const bool keeps_map = reading.map && reading.map_fits;
    // When a chain goes, the kernel drops whatever the queues of the namespace hold.
    const bool keeps_chain =
        keeps_map && reading.chain && reading.chain_fits && reading.rules == 1 && reading.rule_fits;
    // Its rules go with it, so that nothing refers to the map.
    if (reading.chain && !keeps_chain)
        transaction.chain(NFT_MSG_DELCHAIN, 0, nft::our_chain(fate_table::chain_name).get());
    if (reading.map && !keeps_map) transaction.map(NFT_MSG_DELSET, 0, our_map().get());
    if (!keeps_map) transaction.map(NFT_MSG_NEWSET, NLM_F_CREATE, new_map().get());
    if (keeps_map) {
        bool any = false;
        const nft::Set old = outdated(reading, wanted, any);
        if (any) transaction.elements(NFT_MSG_DELSETELEM, 0, old.get());
    }
    const nft::Set elements = our_map();
    nftnl_set_set_u32(elements.get(), NFTNL_SET_ID, 1);
    for (const Element& element : wanted) add_element(elements.get(), element);
    transaction.elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, elements.get());
    if (keeps_chain) return transaction.commit(socket);
    transaction.chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE,
                      nft::our_chain(fate_table::chain_name, fate_table::priority).get());
    transaction.rule(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, the_rule().get());
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
        const auto reading = fate_table::read(*socket);
        if (!reading) return tl::unexpected(reading.error());
        if (exact(*reading, wanted)) return {};
        NetlinkAnswer answer =
            reading->dormant ? wake_table(*socket, *reading) : try_install(*socket, *reading, wanted);
        if (!answer.error && !reading->dormant) return {};
        // It is awake now, and looked at again.
        if (!answer.error) answer.error = ERESTART;
        // Or somebody changed the ruleset since we looked.
        if (answer.error == ERESTART && i < fate_table::attempts) continue;
        if (answer.error == ENOENT)
            return fail(ErrorCode::unsupported,
                        "the kernel's nftables cannot look at conntrack marks: load the modules nft_ct and "
                        "nf_conntrack, or set classify.rule = \"none\"");
        return fate_table::fail_table(answer, "cannot make the one rule of the table 'inet synward'");
    }
}

Result<FateRule> find_fate_rule(const Fates& fates) {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    const auto reading = fate_table::read(*socket);
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
        const auto reading = fate_table::read(*socket);
        if (!reading) return tl::unexpected(reading.error());
        if (!reading->chain && !reading->map) return {};
        nft::Transaction ours(reading->generation);
        if (reading->chain) ours.chain(NFT_MSG_DELCHAIN, 0, nft::our_chain(fate_table::chain_name).get());
        if (reading->map) ours.map(NFT_MSG_DELSET, 0, our_map().get());
        const NetlinkAnswer removed = ours.commit(*socket);
        if (removed.error == ERESTART && i < fate_table::attempts) continue;
        if (removed.error && removed.error != ENOENT)
            return fate_table::fail_table(removed, "cannot remove the one rule of the table 'inet synward'");
        break;
    }
    const NetlinkAnswer emptied = nft::remove_empty_table(*socket);
    if (emptied.error) return fate_table::fail_table(emptied, "cannot remove the empty table 'inet synward'");
    return {};
}

}  // namespace synward
