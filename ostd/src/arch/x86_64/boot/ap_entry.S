# An application processor's way from the startup IPI to Rust. This is copied to a page below 1 MiB and runs there: real
# mode with CS = page >> 4, so everything in it is addressed relative to its own start, except what lies in the kernel's
# image, which is reached through the early tables once they are on.

.section .rodata.ap, "a"
.balign 16
.global ap_trampoline
ap_trampoline:
.code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl ap_gdt_pointer - ap_trampoline
    movl $CR4_PAE_PGE, %eax
    movl %eax, %cr4
    movl ap_boot_tables - ap_trampoline, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    xorl %edx, %edx
    movl $(EFER_LME | EFER_NXE), %eax
    wrmsr
    movl $CR0_PE_MP_NE_WP_PG, %eax
    movl %eax, %cr0
    ljmpl *(ap_far_pointer - ap_trampoline)

.code64
ap_long_mode:
    movl $SELECTOR_DATA, %eax
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movq ap_stack(%rip), %rsp
    movl ap_cpu(%rip), %edi
    movq ap_tables(%rip), %rsi
    movq $ap_high_half, %rax
    jmp *%rax

.balign 8
ap_gdt:
    .quad 0
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
.global ap_gdt_pointer
ap_gdt_pointer:
    .word ap_gdt_pointer - ap_gdt - 1
ap_gdt_base:
    .long ap_gdt - ap_trampoline        # + the page
.balign 4
ap_far_pointer:
    .long ap_long_mode - ap_trampoline  # + the page
    .word SELECTOR_CODE
.balign 8
ap_boot_tables:
    .quad 0
ap_tables:
    .quad 0
ap_stack:
    .quad 0
ap_cpu:
    .long 0
.global ap_trampoline_end
ap_trampoline_end:

# Where the boot CPU fills in; offsets from the start.
.balign 2
.global ap_fields
ap_fields:
    .word ap_gdt_base - ap_trampoline
    .word ap_far_pointer - ap_trampoline
    .word ap_boot_tables - ap_trampoline
    .word ap_tables - ap_trampoline
    .word ap_stack - ap_trampoline
    .word ap_cpu - ap_trampoline

# Where the firmware of a TD sends a CPU that waited at its mailbox: long mode, an identity map that covers this, interrupts off. The boot CPU has left
# what the CPU needs to know in the image.
.section .text.entry, "ax"
.code64
.global ap_mailbox_entry
ap_mailbox_entry:
    cli
    cld
    leaq boot_pml4(%rip), %r8
    ENTER_EARLY_TABLES
    movq $1f, %rax
    jmp *%rax
1:  lgdt boot_gdt_pointer(%rip)
    movl $SELECTOR_DATA, %eax
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movq ap_mailbox_tables(%rip), %rsi
    movq %rsi, %cr3                     # where the stack is
    movq ap_mailbox_stack(%rip), %rsp
    movl ap_mailbox_cpu(%rip), %edi
    pushq $SELECTOR_CODE
    leaq ap_high_half(%rip), %rax
    pushq %rax
    lretq

.section .data.ap, "aw"
.balign 8
.global ap_mailbox_tables
ap_mailbox_tables:
    .quad 0
.global ap_mailbox_stack
ap_mailbox_stack:
    .quad 0
.global ap_mailbox_cpu
ap_mailbox_cpu:
    .quad 0

.section .text.ap, "ax"
# In: %edi CPU number, %rsi the kernel's own page tables, %rsp the stack's top in them.
ap_high_half:
    movq %rsi, %cr3
    xorl %ebp, %ebp
    call ap_start
    ud2
